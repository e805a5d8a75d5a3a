using Retouch.Denoisers;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Denoisers;

/// <summary>What every denoiser is held to that has a golden.</summary>
internal static class DenoiserGolden
{
    /// <summary>Outputs, every intermediate that the case has, and the gradients of inputs and parameters.</summary>
    /// <param name="golden">The case.</param>
    /// <param name="network">With the case's weights.</param>
    /// <param name="leaves">Inputs that the case has gradients of, without prefix.</param>
    /// <param name="forward">The network's run on those.</param>
    public static void Check(
        GoldenCase golden,
        IDenoiser network,
        IReadOnlyList<string> leaves,
        Func<IReadOnlyList<Tensor>, Tensor> forward
    )
    {
        network.Parameters.RequireGrad(true);
        var seen = new Dictionary<string, Tensor>();
        network.Parameters.Observer = (name, value) => seen.TryAdd(name, value.Detach().Clone().Escape());
        var inputs = leaves.Select(name => golden.ReadLeaf($"in.{name}")).ToList();
        var output = forward(inputs);
        network.Parameters.Observer = null;
        golden.Check("out.sample", output);
        Assert.Equal(golden.Names("mid."), seen.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, value) in seen)
        {
            golden.Check($"mid.{name}", value);
            value.Dispose();
        }

        Autograd.Backward(output, golden.Read("in.cotangent"));
        Assert.Equal(golden.Names("grad."), leaves.Order(StringComparer.Ordinal));
        foreach (var (name, leaf) in leaves.Zip(inputs))
            golden.Check($"grad.{name}", leaf.Grad!);
        golden.CheckGradients(network.Parameters);
    }

    /// <summary>Every gradient and the output, for comparison to the bit.</summary>
    public static Dictionary<string, float[]> Gradients(IDenoiser network, Func<Tensor> forward, DType precision = DType.Float32)
    {
        using var scope = TensorScope.Enter();
        network.Parameters.RequireGrad(true);
        Tensor output;
        using (Autocast.Enter(Device.Cpu, precision))
            output = forward();
        using var generator = Generator.Create(Device.Cpu, 11);
        Autograd.Backward(output, Ops.Randn(output.Shape, generator));
        var found = network
            .Parameters.Trained.Where(static p => p.Value.Grad is not null)
            .ToDictionary(static p => p.Name, static p => p.Value.Grad!.ToArray<float>());
        found["output"] = output.ToArray<float>();
        return found;
    }

    /// <summary>Asserts that two runs of <see cref="Gradients"/> are the same to the bit.</summary>
    public static void CheckSame(Dictionary<string, float[]> expected, Dictionary<string, float[]> actual)
    {
        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), actual.Keys.Order(StringComparer.Ordinal));
        Assert.Equal([], expected.Where(p => !p.Value.AsSpan().SequenceEqual(actual[p.Key])).Select(static p => p.Key));
    }
}
