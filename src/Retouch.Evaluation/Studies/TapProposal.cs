namespace Retouch.Evaluation.Studies;

/// <summary>Where the latent perceptual loss might look, from what was measured.</summary>
/// <param name="Taps">Taps.</param>
/// <param name="Weights">ω of each, the first 1: all contribute alike over the noise under the gate.</param>
/// <param name="Threshold">τ, in σ.</param>
/// <param name="Weight">w_LPL: the loss is about a fifth of the total at first.</param>
/// <param name="Reasons">Why, a sentence each.</param>
public sealed record TapProposal(
    IReadOnlyList<int> Taps,
    IReadOnlyList<double> Weights,
    double Threshold,
    double Weight,
    IReadOnlyList<string> Reasons
)
{
    /// <summary>The part of the features' variance that an estimate may miss and still be worth comparing.</summary>
    private const double MostError = 0.5;

    /// <summary>A tap with more outliers than this compares what is left of it.</summary>
    private const double MostOutliers = 0.2;

    /// <summary>A gate that is open to less than this part of the times deserves a word.</summary>
    private const double FewOpen = 0.2;

    /// <summary>The share of the loss that [LPL] reports for its weight.</summary>
    private const double Share = 0.2;

    /// <summary>Proposes.</summary>
    /// <param name="study">At least one level.</param>
    public static TapProposal Of(TapStudyResult study)
    {
        ArgumentNullException.ThrowIfNull(study);
        List<string> reasons = [];
        var all = study.Taps;
        // The last block is the most expensive, and gains little.
        int[] candidates = [.. all.Take(Math.Max(all.Count - 1, 1)).Select(static t => t.Tap)];
        int[] taps = [.. candidates.Where(t => all[t].Outliers <= MostOutliers)];
        if (taps.Length == 0)
            taps = [candidates.MinBy(t => all[t].Outliers)];
        reasons.Add(
            all.Count > 1 ? $"The last tap ({all[^1].Tap}) is the most expensive and gains little; it is left out." : "There is one tap."
        );
        if (taps.Length < candidates.Length)
            reasons.Add($"Taps {string.Join(", ", candidates.Except(taps))} have more than {MostOutliers:P0} outliers and are left out.");

        double Error(LevelFacts level) => taps.Average(t => level.FeatureErrors[t]);
        var under = study.Levels.OrderBy(static l => l.Sigma).TakeWhile(l => Error(l) <= MostError).ToArray();
        var threshold = under.Length > 0 ? under[^1].Sigma : study.Levels.Min(static l => l.Sigma);
        var levels = under.Length > 0 ? under : [study.Levels.MinBy(static l => l.Sigma)!];
        // Levels lie at equal distances of time, so this is the part of samples whose time falls under the gate.
        var open = (double)levels.Length / study.Levels.Count;
        reasons.Add(
            under.Length == 0
                ? $"At no level does ẑ0 explain {1 - MostError:P0} of the features' variance: the gate is set to the least noise "
                    + $"measured. The denoiser may need more training first."
            : under.Length == study.Levels.Count
                ? "ẑ0 explains half of the features' variance at every level measured: the gate lets all of them in."
            : $"Up to σ = {threshold:G3} ẑ0 explains at least {1 - MostError:P0} of the features' variance at the taps."
        );
        reasons.Add(
            open < FewOpen
                ? $"Of times drawn uniformly the gate lets in about {open:P0}: few steps have a perceptual loss at all. A larger τ "
                    + $"lets in more, and compares estimates that are mostly wrong; or train the denoiser further first."
                : $"Of times drawn uniformly the gate lets in about {open:P0}."
        );
        double[] losses = [.. taps.Select(t => levels.Average(l => l.Perceptual[t]))];
        double[] weights = [.. losses.Select(l => l > 0 ? losses[0] / l : 1)];
        // Under the gate only; over the whole batch the loss counts as often as the gate is open.
        var perceptual = open * losses.Zip(weights, static (l, w) => l * w).Sum();
        var diffusion = study.Levels.Average(static l => l.Loss);
        var weight = perceptual > 0 ? Share / (1 - Share) * diffusion / perceptual : 1;
        reasons.Add(
            $"With these weights each tap contributes alike; with w = {weight:G3} the loss is about {Share:P0} of the total at first."
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
