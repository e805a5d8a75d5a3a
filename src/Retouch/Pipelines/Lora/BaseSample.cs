using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Lora;

/// <summary>
/// Fingerprint of a base model: a few of its weights, by which adapters recognise the model that they were trained on. Cheaper than a hash
/// of gigabytes, and independent of the stored type.
/// </summary>
internal static class BaseSample
{
    private const int Most = 48;

    // Upsamplers had no adapters in earlier versions; fingerprints from then leave them out.
    private const string Upsamplers = ".upsamplers.";

    // bfloat16 has eight significant bits.
    private const double Relative = 0.006;
    private const double Absolute = 1e-6;

    /// <summary>The middle element of several weights spread over the network.</summary>
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

    /// <summary>Whether a fingerprint is consistent with a network.</summary>
    public static bool Fits(IReadOnlyList<double> sample, ParameterStore network)
    {
        var found = Of(network);
        return found.Length == sample.Count
            && found.Zip(sample).All(static p => Math.Abs(p.First - p.Second) <= Absolute + (Relative * Math.Abs(p.Second)));
    }
}
