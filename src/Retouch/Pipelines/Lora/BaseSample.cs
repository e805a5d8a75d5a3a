using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Lora;

/// <summary>
/// Some numbers out of a network's weights, by which adapters know the model that they were trained on again: cheaper than a hash of
/// gigabytes, and the same in every type that weights are stored in.
/// </summary>
internal static class BaseSample
{
    private const int Most = 48;

    // These took no adapters once; samples of then leave them out.
    private const string Upsamplers = ".upsamplers.";

    // bfloat16 keeps eight bits.
    private const double Relative = 0.006;
    private const double Absolute = 1e-6;

    /// <summary>One element, from the middle, of some weights that are spread over the network.</summary>
    public static double[] Of(ParameterStore network)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var weights = network.All.Where(static p => p.IsAdaptable && !p.Name.Contains(Upsamplers, StringComparison.Ordinal)).ToList();
        var count = Math.Min(Most, weights.Count);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(k => weights[k * weights.Count / count].Value)
                .Select(static w => w.Flatten().Narrow(0, w.Count / 2, 1).To(DType.Float64).ToArray<double>()[0]),
        ];
    }

    /// <summary>Whether the numbers may be those of this network.</summary>
    public static bool Fits(IReadOnlyList<double> sample, ParameterStore network)
    {
        var found = Of(network);
        return found.Length == sample.Count
            && found.Zip(sample).All(static p => Math.Abs(p.First - p.Second) <= Absolute + (Relative * Math.Abs(p.Second)));
    }
}
