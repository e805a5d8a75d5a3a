using Retouch.Core.Formatting;
using Retouch.Evaluation.Measuring;

namespace Retouch.Experiments.Measuring;

/// <summary>Protocol of an evaluation as text: counts, resizes, networks with their hashes, neighbours, seeds.</summary>
public static class ProtocolText
{
    /// <summary>Label of a set.</summary>
    public const string Pictures = "Pictures";

    /// <summary>Warnings, merged if equal for several sets.</summary>
    /// <param name="warnings">Warnings of an evaluation.</param>
    /// <param name="named">Maps a set to its display name.</param>
    public static IEnumerable<string> Warnings(IEnumerable<string> warnings, Func<string, string> named)
    {
        const string Has = "' has ";
        foreach (
            var group in warnings
                .Distinct()
                .GroupBy(static w =>
                    w.StartsWith('\'') && w.Contains(Has, StringComparison.Ordinal)
                        ? w[(w.IndexOf(Has, StringComparison.Ordinal) + Has.Length)..]
                        : w
                )
        )
            yield return group.First() == group.Key
                ? group.Key
                : $"{string.Join(", ", group.Select(w => named(w[1..w.IndexOf(Has, StringComparison.Ordinal)])))}: {group.Key}";
    }

    /// <summary>Labels and texts, in order.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Of(EvaluationResult result)
    {
        var protocol = result.Protocol;
        yield return new("Reference", $"{result.Reference.Name}: {result.Reference.Preparation}");
        foreach (var set in result.Sets)
            yield return new(Pictures, $"{set.Name}: {set.Preparation}");
        yield return new("Size", $"{protocol.Width} x {protocol.Height}");
        foreach (var network in protocol.Networks ?? [])
            yield return new(
                "Network",
                $"{network.Network}: {network.Width} features; {network.Preparation}; {network.Weights}, sha256 {network.Sha256}"
            );
        foreach (var entry in protocol.Entries)
            yield return new(entry.Heading, entry.Text);
        yield return new(
            "Intervals",
            $"{Figures.Percent(protocol.Bootstrap.Confidence)}, {Figures.Count(protocol.Bootstrap.Resamples)} resamples, seed "
                + $"{protocol.Bootstrap.Seed}: {protocol.Intervals}"
        );
    }
}
