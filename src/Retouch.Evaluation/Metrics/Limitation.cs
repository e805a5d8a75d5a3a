using Retouch.Evaluation.Pictures;

namespace Retouch.Evaluation.Metrics;

/// <summary>Limitation of figures, reported as a warning.</summary>
/// <param name="Text">A whole sentence.</param>
public sealed record Limitation(string Text)
{
    /// <summary>Number of pictures below which distances of distributions depend on the number.</summary>
    public const int FewPictures = 2048;

    /// <summary>Figures with a void interval, by name or by the part before the point; empty for a mere caution.</summary>
    public IReadOnlyList<string> Voids { get; init; } = [];

    /// <summary>Set of these figures; null for every set.</summary>
    public ImageSet? Set { get; init; }

    /// <summary>Whether a set's figure has a void interval.</summary>
    /// <param name="set">The set.</param>
    /// <param name="figure">Name of the figure.</param>
    public bool IsAbout(ImageSet set, string figure) =>
        (Set is null || ReferenceEquals(Set, set))
        && Voids.Any(name => figure == name || figure.StartsWith(name + ".", StringComparison.Ordinal));
}
