namespace Retouch.Evaluation;

/// <summary>What limits figures.</summary>
/// <param name="Text">A whole sentence.</param>
internal sealed record Limitation(string Text)
{
    /// <summary>Figures whose intervals say nothing, by name or by the part before the point; none where the sentence only
    /// cautions.</summary>
    public IReadOnlyList<string> Voids { get; init; } = [];

    /// <summary>The set whose figures these are; null for every set's.</summary>
    public ImageSet? Set { get; init; }

    /// <summary>Whether a set's figure is among them.</summary>
    public bool IsAbout(ImageSet set, string figure) =>
        (Set is null || ReferenceEquals(Set, set))
        && Voids.Any(name => figure == name || figure.StartsWith(name + ".", StringComparison.Ordinal));
}
