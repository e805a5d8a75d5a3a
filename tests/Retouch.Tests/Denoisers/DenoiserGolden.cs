using Retouch.Denoisers;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Denoisers;

/// <summary>Checks common to all denoisers with a golden.</summary>
internal static class DenoiserGolden
{
    /// <summary>Checks outputs, all intermediates of the case, and the gradients of inputs and parameters.</summary>
    /// <param name="golden">Case.</param>
    /// <param name="network">Network with the case's weights.</param>
    /// <param name="leaves">Inputs with gradients in the case, without prefix.</param>
    /// <param name="forward">Runs the network on them.</param>
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

    /// <summary>All gradients and the output, for bitwise comparison.</summary>
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

    /// <summary>Asserts that two results of <see cref="Gradients"/> are bitwise equal.</summary>
    public static void CheckSame(Dictionary<string, float[]> expected, Dictionary<string, float[]> actual)
    {
        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), actual.Keys.Order(StringComparer.Ordinal));
        Assert.Equal([], expected.Where(p => !p.Value.AsSpan().SequenceEqual(actual[p.Key])).Select(static p => p.Key));
    }
}
