using Retouch.Objectives.LatentPerceptual;

namespace Retouch.Evaluation.Studies;

/// <summary>Proposed options of the latent perceptual loss, derived from measurements.</summary>
/// <param name="Taps">Indices of the taps.</param>
/// <param name="Weights">ω of each tap, the first 1: equal contributions on average over the noise levels below the gate.</param>
/// <param name="Threshold">τ of the gate, in σ.</param>
/// <param name="Weight">w_LPL for an initial share of about a fifth of the total loss.</param>
/// <param name="Reasons">Reasons, one sentence each.</param>
public sealed record TapProposal(
    IReadOnlyList<int> Taps,
    IReadOnlyList<double> Weights,
    double Threshold,
    double Weight,
    IReadOnlyList<string> Reasons
)
{
    /// <summary>Largest unexplained share of the features' variance at which a comparison is useful.</summary>
    private const double MostError = 0.5;

    /// <summary>Share of outliers above which a tap is excluded.</summary>
    private const double MostOutliers = 0.2;

    /// <summary>Share of open noise levels below which the gate needs a remark.</summary>
    private const double FewOpen = 0.2;

    /// <summary>Share of the loss that [LPL] reports for its weight.</summary>
    private const double Share = 0.2;

    /// <summary>Between the cosines of experiments with a gain in feature distances and of those without (docs/results/lpl.md).</summary>
    private const double MostAligned = 0.6;

    /// <summary>Derives the proposal.</summary>
    /// <param name="study">Study with at least one noise level.</param>
    public static TapProposal Of(TapStudyResult study)
    {
        ArgumentNullException.ThrowIfNull(study);
        List<string> reasons = [];
        var all = study.Taps;
        // The last block is the most expensive with little benefit.
        int[] candidates = [.. all.Take(Math.Max(all.Count - 1, 1)).Select(static t => t.Tap)];
        int[] taps = [.. candidates.Where(t => all[t].Outliers <= MostOutliers)];
        if (taps.Length == 0)
            taps = [candidates.MinBy(t => all[t].Outliers)];
        reasons.Add(
            all.Count > 1 ? $"The last tap ({all[^1].Tap}) is the most expensive with little benefit; it is excluded." : "Only one tap."
        );
        if (taps.Length < candidates.Length)
            reasons.Add($"Taps {string.Join(", ", candidates.Except(taps))} have more than {MostOutliers:P0} outliers and are excluded.");

        double Error(LevelFacts level) => taps.Average(t => level.FeatureErrors[t]);
        var under = study.Levels.OrderBy(static l => l.Sigma).TakeWhile(l => Error(l) <= MostError).ToArray();
        var threshold = under.Length > 0 ? under[^1].Sigma : study.Levels.Min(static l => l.Sigma);
        var levels = under.Length > 0 ? under : [study.Levels.MinBy(static l => l.Sigma)!];
        // Levels are equidistant in time, so this is the share of samples below the gate.
        var open = (double)levels.Length / study.Levels.Count;
        reasons.Add(
            under.Length == 0
                ? $"ẑ0 explains {1 - MostError:P0} of the features' variance at no level: the gate is set to the lowest measured "
                    + $"noise level. The denoiser may need more training first."
            : under.Length == study.Levels.Count
                ? "ẑ0 explains half of the features' variance at all measured levels: the gate is open to all of them."
            : $"Up to σ = {threshold:G3} ẑ0 explains at least {1 - MostError:P0} of the features' variance at the taps."
        );
        reasons.Add(
            open < FewOpen
                ? $"The gate is open for about {open:P0} of uniform timesteps: few steps have a perceptual loss. A larger τ "
                    + $"includes more steps with less accurate estimates; alternatively, train the denoiser further first."
                : $"The gate is open for about {open:P0} of uniform timesteps."
        );
        double[] losses = [.. taps.Select(t => levels.Average(l => l.Perceptual[t]))];
        double[] weights = [.. losses.Select(l => l > 0 ? losses[0] / l : 1)];
        // Below the gate only; on average over the batch the loss is weighted by the share of open samples.
        var perceptual = open * losses.Zip(weights, static (l, w) => l * w).Sum();
        var diffusion = study.Levels.Average(static l => l.Loss);
        var weight = perceptual > 0 ? Share / (1 - Share) * diffusion / perceptual : 1;
        reasons.Add(
            $"With these weights all taps contribute equally; with w = {weight:G3} the initial share of the loss is about {Share:P0}."
        );
        const double Usual = LatentPerceptualOptions.DefaultSigma;
        double[] alignments = [.. study.Levels.Where(static l => l.Sigma <= Usual).Select(static l => l.Alignment)];
        var alignment = alignments.DefaultIfEmpty(study.Levels[0].Alignment).Average();
        reasons.Add(
            $"Up to σ = {Usual}, the gradients of the perceptual and of the diffusion loss have a cosine of {alignment:0.00}: "
                + (
                    alignment > MostAligned
                        ? "the perceptual loss asks for nearly the same corrections, and may improve details, but not the distance to real "
                            + "pictures. Compare with the diffusion loss alone."
                        : "the perceptual loss asks for other corrections."
                )
        );
        return new TapProposal(taps, [.. weights.Select(static w => Round(w))], Round(threshold), Round(weight), reasons);
    }

    private static double Round(double value)
    {
        if (value == 0 || !double.IsFinite(value))
            return value;
        var digits = Math.Clamp(2 - (int)Math.Floor(Math.Log10(Math.Abs(value))), 0, 15);
        return Math.Round(value, digits);
    }
}
