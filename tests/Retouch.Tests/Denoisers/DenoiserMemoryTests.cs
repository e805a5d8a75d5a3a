using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Denoisers.Dit;
using Retouch.Denoisers.MmDit;
using Retouch.Denoisers.Sd3;
using Retouch.Denoisers.UNet;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Denoisers;

/// <summary>Training steps of every denoiser leak no tensors.</summary>
[Collection(LiveTensorCollection.Name)]
public sealed class DenoiserMemoryTests
{
    [Theory]
    [Trait("speed", "slow")]
    [InlineData("dit", false)]
    [InlineData("dit", true)]
    [InlineData("unet", false)]
    [InlineData("unet", true)]
    [InlineData("mmdit", false)]
    [InlineData("mmdit", true)]
    [InlineData("unet_sd15", false)]
    [InlineData("unet_sd15", true)]
    [InlineData("pixart", false)]
    [InlineData("pixart", true)]
    [InlineData("sd3", false)]
    [InlineData("sd3", true)]
    public void A_step_leaves_only_gradients(string kind, bool checkpoint)
    {
        using var generator = Generator.Create(Device.Cpu, 7);
        var before = Tensor.LiveCount;
        using (var network = Make(kind))
        {
            network.Parameters.Initialise(generator, Device.Cpu);
            network.Parameters.RequireGrad(true);
            network.CheckpointActivations = checkpoint;
            var after = 0L;
            for (var step = 0; step < 3; step++)
            {
                using (var scope = TensorScope.Enter())
                    Autograd.Backward(
                        network
                            .Predict(
                                Ops.Randn([2L, network.LatentChannels, 8, 8], generator),
                                Tensor.From([1L, 2]),
                                For(network, generator)
                            )
                            .Value.Square()
                            .Mean()
                    );
                if (step > 0)
                    Assert.Equal(after, Tensor.LiveCount);
                after = Tensor.LiveCount;
            }
        }

        Assert.Equal(before, Tensor.LiveCount);
    }

    internal static IDenoiser Make(string kind)
    {
        switch (kind)
        {
            case "dit":
                return new DiTTransformer2D(DiTTests.Small);
            case "unet":
                return new UNet2DCondition(UNetClassTests.Small);
            case "mmdit":
                return new MmDitTransformer2D(MmDitTests.Tiny);
        }

        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(kind);
        return kind switch
        {
            "pixart" => PixArtTests.Load(golden),
            "sd3" => Sd3Tests.Load(golden),
            _ => UNetTests.Load(golden),
        };
    }

    private static Condition For(IDenoiser network, Generator generator) =>
        network.TextWidth is not { } width
            ? new Condition(Tensor.From([1L, 3]))
            : new Condition
            {
                Text = Ops.Randn([2L, 5, width], generator),
                Pooled = network is Sd3Transformer2D sd3 ? Ops.Randn([2L, sd3.Config.PooledProjectionDim], generator) : null,
            };
}
