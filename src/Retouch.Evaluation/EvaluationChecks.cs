using Retouch.Core.Errors;
using Retouch.Evaluation.Features;

namespace Retouch.Evaluation;

/// <summary>What cannot be measured, and what limits what was measured.</summary>
internal static class EvaluationChecks
{
    private const Metrics WithoutReference = Metrics.Fid | Metrics.Sharpness | Metrics.ClipScore;

    /// <exception cref="UsageException">A reference is missing or would do nothing.</exception>
    /// <exception cref="InputException">Sets are too small, differ in size, or have no partners.</exception>
    public static void Check(ImageSet? reference, IReadOnlyList<ImageSet> sets, EvaluationOptions options)
    {
        var needsPictures = options.Asks(~WithoutReference) || (options.Asks(Metrics.Fid) && options.Statistics is null);
        if (reference is null && needsPictures)
            throw new UsageException("The metrics that are asked for compare with real pictures: give them (--reference FOLDER).");
        if (reference is not null && !needsPictures && options.Statistics is not null)
            throw new UsageException(
                "FID compares with the saved statistics, and no other metric needs the reference: leave --reference or --statistics out."
            );
        var first = reference ?? sets[0];
        foreach (var set in sets)
        {
            if ((set.Width, set.Height) != (first.Width, first.Height))
            {
                throw new InputException(
                    $"The pictures of '{set.Name}' have {set.Width} x {set.Height} pixels, those of '{first.Name}' {first.Width} "
                        + $"x {first.Height}. "
                        + "Have all resized to one size (--size)."
                );
            }

            if (set.Count < 2)
                throw new InputException($"'{set.Name}' holds one picture; statistics need two or more.");
            if (options.Asks(EvaluationOptions.Paired) && !set.PairsWith(reference!))
            {
                throw new InputException(
                    $"{Listed(options.Metrics & EvaluationOptions.Paired)} compares pictures of the same name, but those of "
                        + $"'{set.Name}' ({set.Count}) and '{reference!.Name}' ({reference.Count}) differ. "
                        + "Give the originals as the reference, or leave it out."
                );
            }
        }

        const int SharpnessSide = 3;
        if (options.Asks(Metrics.Sharpness) && Math.Min(first.Width, first.Height) < SharpnessSide)
            throw new UsageException(
                $"sharpness needs pictures of {SharpnessSide} pixels a side or more. Have them resized " + $"(--size) or leave it out."
            );
        if (options.Asks(Metrics.Swd) && Math.Min(first.Width, first.Height) < options.SlicedWasserstein.Patch)
            throw new UsageException(
                $"swd compares patches of {options.SlicedWasserstein.Patch} pixels a side, larger than the pictures. Have them "
                    + $"resized (--size) or leave swd out."
            );
        if (reference?.Count < 2)
            throw new InputException($"The reference '{reference.Name}' holds one picture; statistics need two or more.");
    }

    /// <summary>Whole sentences.</summary>
    public static List<string> Warnings(ImageSet? reference, IReadOnlyList<ImageSet> sets, WaveletPlan? plan, EvaluationOptions options)
    {
        List<string> warnings = [];
        IEnumerable<ImageSet> all = reference is null ? sets : sets.Prepend(reference);
        foreach (var set in all)
        {
            warnings.AddRange(set.Notes);
            if (plan is not null && set.Count <= plan.Features)
            {
                warnings.Add(
                    $"'{set.Name}' has {set.Count} pictures, no more than the {plan.Features} coefficients of a wavelet packet: "
                        + $"its covariances are singular, "
                        + "fwd is too large and its interval too narrow. Use more pictures or a higher level."
                );
            }
            else if (plan is not null && set.Count < Evaluator.FewPictures)
            {
                warnings.Add(Few(set, "fwd"));
            }

            foreach (var network in options.Networks.Select(static n => n.Protocol))
            {
                var name = FeatureNames.Frechet(network.Key);
                var isAsked = options.Asks(network.Key == FeatureNames.Inception ? Metrics.Fid : Metrics.Fd);
                if (isAsked && set.Count <= network.Width)
                    warnings.Add(
                        $"'{set.Name}' has {set.Count} pictures, no more than the {network.Width} features: its covariance is "
                            + $"singular, {name} is too large and its interval too narrow. Use more pictures."
                    );
                else if (isAsked && set.Count < Evaluator.FewPictures)
                    warnings.Add(Few(set, name));
                if (options.Asks(Metrics.Prdc) && set.Count < Evaluator.FewPictures)
                    warnings.Add(
                        Few(
                            set,
                            $"precision, recall, density and coverage{(network.Key == FeatureNames.Inception ? "" : $" on {network.Key}")}"
                        )
                    );
            }
        }

        if (options.Statistics is { } saved)
            warnings.AddRange(Warnings(saved, options));
        return [.. warnings.Distinct(StringComparer.Ordinal)];
    }

    private static string Listed(Metrics metrics) =>
        string.Join(
            ", ",
            Enum.GetValues<Metrics>()
                .Where(m => m != Metrics.None && metrics.HasFlag(m))
                .Select(static m => m.ToString().ToLowerInvariant())
        );

    private static string Few(ImageSet set, string figures) =>
        $"'{set.Name}' has {set.Count} pictures; below {Evaluator.FewPictures}, {figures} "
        + $"{(figures.Contains(',', StringComparison.Ordinal) ? "depend" : "depends")} on their number. Compare only sets of the "
        + $"same size.";

    private static IEnumerable<string> Warnings(FrechetStatistics saved, EvaluationOptions options)
    {
        var own = options.Networks.First(static n => n.Protocol.Key == FeatureNames.Inception).Protocol;
        if (saved.Protocol is null)
            yield return $"'{options.StatisticsName}' does not say which weights and which resize its statistics were made with; fid means "
                + $"something only if they are the same as here.";
        else if (saved.Protocol.Sha256 != own.Sha256 || saved.Protocol.Preparation != own.Preparation)
            yield return $"The statistics of '{options.StatisticsName}' were made with other weights or another preparation "
                + $"({saved.Protocol.Weights}, {saved.Protocol.Preparation}); fid means little.";
        if (saved.Count is < Evaluator.FewPictures)
            yield return $"The statistics of '{options.StatisticsName}' are of {saved.Count} pictures; below {Evaluator.FewPictures}, fid "
                + $"depends on their number.";
    }
}
