using Retouch.Evaluation.Pictures;

namespace Retouch.Evaluation.Metrics;

/// <summary>Limitation of figures, reported as a warning.</summary>
/// <param name="Text">The warning, a sentence.</param>
public sealed record Limitation(string Text)
{
    /// <summary>Number of pictures below which distances of distributions depend noticeably on the number.</summary>
    public const int FewPictures = 2048;

    /// <summary>Figures whose interval is void, by name or by the part before the point; empty for a caution.</summary>
    public IReadOnlyList<string> Voids { get; init; } = [];

    /// <summary>Set of these figures; null for all sets.</summary>
    public ImageSet? Set { get; init; }

    /// <summary>Whether the interval of a set's figure is void.</summary>
    /// <param name="set">Name of the set.</param>
    /// <param name="figure">Name of the figure.</param>
    public bool IsAbout(ImageSet set, string figure) =>
        (Set is null || ReferenceEquals(Set, set))
        && Voids.Any(name => figure == name || figure.StartsWith(name + ".", StringComparison.Ordinal));
}
