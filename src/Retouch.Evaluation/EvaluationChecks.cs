using Retouch.Core.Errors;
using Retouch.Evaluation.Features;

namespace Retouch.Evaluation;

/// <summary>What cannot be measured, and what limits what was measured.</summary>
internal static class EvaluationChecks
{
    private static readonly string[] Neighbours = ["precision", "recall", "density", "coverage"];

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

    /// <summary>What limits the figures. Singular covariances void intervals; so do different numbers of pictures where figures depend
    /// on the number.</summary>
    public static List<Limitation> Limitations(
        ImageSet? reference,
        IReadOnlyList<ImageSet> sets,
        WaveletPlan? plan,
        EvaluationOptions options
    )
    {
        List<Limitation> found = [];
        Limitation About(ImageSet set, string text, params string[] voids) =>
            // What is wrong with the reference is wrong with every set's figures.
            new(text) { Set = ReferenceEquals(set, reference) ? null : set, Voids = voids };
        // The baseline's number is the one that all are compared with.
        string[] IfUneven(ImageSet set, params string[] figures) =>
            ReferenceEquals(set, reference) || set.Count == sets[0].Count ? [] : figures;
        IEnumerable<ImageSet> all = reference is null ? sets : sets.Prepend(reference);
        foreach (var set in all)
        {
            found.AddRange(set.Notes.Select(note => About(set, note)));
            if (plan is not null && set.Count <= plan.Features)
            {
                found.Add(
                    About(
                        set,
                        $"'{set.Name}' has {set.Count} pictures, no more than the {plan.Features} coefficients of a wavelet packet: "
                            + $"its covariances are singular, "
                            + "fwd is too large and its interval too narrow. Use more pictures or a higher level.",
                        "fwd"
                    )
                );
            }
            else if (plan is not null && set.Count < Evaluator.FewPictures)
            {
                found.Add(About(set, Few(set, "fwd"), IfUneven(set, "fwd")));
            }

            foreach (var network in options.Networks.Select(static n => n.Protocol))
            {
                var name = FeatureNames.Frechet(network.Key);
                var isAsked = options.Asks(network.Key == FeatureNames.Inception ? Metrics.Fid : Metrics.Fd);
                if (isAsked && set.Count <= network.Width)
                    found.Add(
                        About(
                            set,
                            $"'{set.Name}' has {set.Count} pictures, no more than the {network.Width} features: its covariance is "
                                + $"singular, {name} is too large and its interval too narrow. Use more pictures.",
                            name
                        )
                    );
                else if (isAsked && set.Count < Evaluator.FewPictures)
                    found.Add(About(set, Few(set, name), IfUneven(set, name)));
                if (options.Asks(Metrics.Prdc) && set.Count < Evaluator.FewPictures)
                    found.Add(
                        About(
                            set,
                            Few(
                                set,
                                $"precision, recall, density and coverage"
                                    + (network.Key == FeatureNames.Inception ? "" : $" on {network.Key}")
                            ),
                            IfUneven(set, [.. Neighbours.Select(figure => figure + FeatureNames.Suffix(network.Key))])
                        )
                    );
            }
        }

        if (options.Statistics is { } saved)
            found.AddRange(Limitations(saved, options));
        return found;
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

    private static IEnumerable<Limitation> Limitations(FrechetStatistics saved, EvaluationOptions options)
    {
        var own = options.Networks.First(static n => n.Protocol.Key == FeatureNames.Inception).Protocol;
        if (saved.Protocol is null)
            yield return new(
                $"'{options.StatisticsName}' does not say which weights and which resize its statistics were made with; fid means "
                    + $"something only if they are the same as here."
            );
        else if (saved.Protocol.Sha256 != own.Sha256 || saved.Protocol.Preparation != own.Preparation)
            yield return new(
                $"The statistics of '{options.StatisticsName}' were made with other weights or another preparation "
                    + $"({saved.Protocol.Weights}, {saved.Protocol.Preparation}); fid means little."
            )
            {
                Voids = ["fid"],
            };
        if (saved.Count is < Evaluator.FewPictures)
            yield return new(
                $"The statistics of '{options.StatisticsName}' are of {saved.Count} pictures; below {Evaluator.FewPictures}, fid "
                    + $"depends on their number."
            );
    }
}
