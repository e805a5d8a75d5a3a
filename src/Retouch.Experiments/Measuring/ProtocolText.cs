using Retouch.Core.Formatting;
using Retouch.Evaluation;
using Retouch.Evaluation.Features;

namespace Retouch.Experiments.Measuring;

/// <summary>The protocol of an evaluation as text: counts, resizes, networks with their hashes, neighbours, seeds.</summary>
internal static class ProtocolText
{
    /// <summary>Label of a set in the protocol.</summary>
    public const string Pictures = "Pictures";

    /// <summary>Warnings; equal ones of several sets are merged.</summary>
    /// <param name="warnings">Warnings of an evaluation.</param>
    /// <param name="named">Display name of a set.</param>
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

    /// <summary>Labels and texts in order.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Of(EvaluationResult result)
    {
        var protocol = result.Protocol;
        yield return new("Reference", $"{result.Reference.Name}: {result.Reference.Preparation}");
        foreach (var set in result.Sets)
            yield return new(Pictures, $"{set.Name}: {set.Preparation}");
        yield return new("Size", $"{protocol.Width} x {protocol.Height}");
        if (protocol.Fwd is { } fwd)
            yield return new(
                "Wavelets",
                $"{fwd.Wavelet}, level {fwd.Level}: {fwd.Packets} packets of {fwd.Features} coefficients; {fwd.Pixels}"
            );
        if (protocol.Spectrum is { } spectrum)
            yield return new(
                "Spectrum",
                $"{spectrum.Signal.ToString().ToLowerInvariant()}, {(spectrum.Hann ? "Hann window" : "no window")}; log10 of the "
                    + $"ratio to the reference"
            );
        foreach (var network in protocol.Networks ?? [])
            yield return new(
                "Network",
                $"{network.Network}: {network.Width} features; {network.Preparation}; {network.Weights}, sha256 {network.Sha256}"
            );
        if (protocol.Perceptual is { } lpips)
            yield return new(
                "LPIPS",
                $"{lpips.Network}: {lpips.Trunk}, sha256 {lpips.TrunkSha256}; {lpips.Linear}, sha256 {lpips.LinearSha256}"
            );
        if (protocol.ClipScore is { } clip)
            yield return new("CLIPScore", $"{clip.Model}, sha256 {clip.Sha256}: {clip.Formula}; captions {clip.Captions}");
        if (protocol.SlicedWasserstein is { } swd)
            yield return new(
                "Patches",
                $"{swd.Descriptors}: up to {swd.Patches} a picture and level, {swd.Directions} directions, seed {swd.Seed}"
            );
        if (protocol.Statistics is { } saved)
            yield return new("Statistics", $"{saved.Name}: {(saved.Count is { } n ? $"{n} pictures" : "number of pictures not said")}");
        if (protocol.Kernel is { } kernel)
            yield return new("Kernel", $"{kernel.Kernel}: {kernel.Subsets} subsets of up to {kernel.SubsetSize}, seed {kernel.Seed}");
        if (protocol.PrecisionRecall is { } prdc)
            yield return new(
                "Neighbours",
                $"{prdc.Neighbours}, "
                    + $"{(prdc.Rule == BallRule.Open ? "open balls (distance < radius)" : "closed balls (distance <= radius)")}"
            );
        yield return new(
            "Intervals",
            $"{Figures.Percent(protocol.Bootstrap.Confidence)}, {Figures.Count(protocol.Bootstrap.Resamples)} resamples, seed "
                + $"{protocol.Bootstrap.Seed}: {protocol.Intervals}"
        );
    }
}
