using Retouch.Torch;
using Retouch.Torch.Nn;
using Xunit.Sdk;

namespace Retouch.Tests.Goldens;

/// <summary>The harness itself must detect errors.</summary>
public sealed class GoldenCaseTests
{
    [Fact]
    public void A_tensor_passes_within_its_tolerance_and_fails_beyond()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        var reference = golden.Read("out.decoded");
        golden.Check("out.decoded", reference);
        golden.Check("out.decoded", reference + 3e-5);
        Assert.Throws<TrueException>(() => golden.Check("out.decoded", reference + 4e-4));
        Assert.Throws<TrueException>(() => golden.Check("out.decoded", reference * double.NaN));
        Assert.Throws<TrueException>(() => golden.Check("out.decoded", reference.Reshape([2, 3, 256])));
        // Inputs have no tolerance: exact.
        golden.Check("in.latent", golden.Read("in.latent"));
        Assert.Throws<TrueException>(() => golden.Check("in.latent", golden.Read("in.latent") + 1e-5));
        var flipped = reference.Clone();
        flipped.Span<float>()[0] += 1;
        golden.CheckMask("out.decoded", flipped);
        flipped.Span<float>()[1] += 1;
        Assert.Throws<TrueException>(() => golden.CheckMask("out.decoded", flipped));
    }

    [Fact]
    public void Missing_and_wrong_gradients_are_reported()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var store = new ParameterStore();
        using var generator = Generator.Create(Device.Cpu, 1);
        var weight = store.Root.Parameter("encoder.conv_in.weight", [16, 3, 3, 3], Inits.Ones);
        store.Initialise(generator, Device.Cpu);
        store.RequireGrad(true);
        Autograd.Backward(weight.Value.Sum());
        var failure = Assert.Throws<TrueException>(() => golden.CheckGradients(store));
        Assert.Contains("encoder.conv_in.weight: l2 is 20.78", failure.Message, StringComparison.Ordinal);
        Assert.Contains("encoder.conv_in.bias: no gradient", failure.Message, StringComparison.Ordinal);
    }
}
