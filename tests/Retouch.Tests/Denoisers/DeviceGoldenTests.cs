using Retouch.Tests.Autoencoders;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Denoisers;

/// <summary>Outputs, intermediates and gradients of networks against their goldens, on the CPU and on a GPU.</summary>
public sealed class DeviceGoldenTests
{
    public static TheoryData<string> Cases => ["dit", "pixart", "sd3", "sd35", "unet_sd15", "unet_sdxl", "autoencoder_kl_2level"];

    [Theory]
    [Trait("speed", "slow")]
    [MemberData(nameof(Cases))]
    public void The_golden_holds_on_the_CPU(string name) => Check(name, Device.Cpu);

    [CudaTheory]
    [MemberData(nameof(Cases))]
    public void The_golden_holds_on_a_GPU(string name) => Check(name, Device.Cuda());

    private static void Check(string name, Device device)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(name, device);
        var time = golden.Has("in.timestep") ? golden.Read("in.timestep") : null;
        switch (name)
        {
            case "dit":
            {
                using var network = DiTTests.Load(golden);
                Assert.Equal(device, network.Parameters.All[0].Value.Device);
                DenoiserGolden.Check(golden, network, ["sample"], x => network.Forward(x[0], time!, golden.Read("in.class_labels")));
                break;
            }

            case "pixart":
            {
                using var network = PixArtTests.Load(golden);
                var mask = golden.Read("in.encoder_attention_mask");
                DenoiserGolden.Check(golden, network, ["sample", "encoder_hidden_states"], x => network.Forward(x[0], time!, x[1], mask));
                break;
            }

            case "sd3"
            or "sd35":
            {
                using var network = Sd3Tests.Load(golden);
                string[] leaves = ["sample", "encoder_hidden_states", "pooled_projections"];
                DenoiserGolden.Check(golden, network, leaves, x => network.Forward(x[0], time!, x[1], x[2]));
                break;
            }

            case "autoencoder_kl_2level":
            {
                using var network = AutoencoderKlTests.Load(golden, device: device);
                network.Parameters.RequireGrad(true);
                var seen = AutoencoderGolden.Watch(golden, network);
                var image = golden.ReadLeaf("in.image");
                var posterior = network.EncodePosterior(image);
                AutoencoderGolden.CheckPosterior(golden, posterior, network.Scale);
                var moments = Ops.Cat([posterior.Mean, posterior.LogVariance], 1);
                AutoencoderGolden.CheckDecodingAndGradients(golden, network, network.Scale, seen, image, moments, "in.cot_moments");
                break;
            }

            default:
            {
                using var network = UNetTests.Load(golden);
                var condition = UNetTests.ConditionOf(golden);
                DenoiserGolden.Check(
                    golden,
                    network,
                    ["sample", "encoder_hidden_states"],
                    x => network.Forward(x[0], time!, condition with { Text = x[1] })
                );
                break;
            }
        }
    }
}
