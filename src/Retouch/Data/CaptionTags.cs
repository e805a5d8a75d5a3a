namespace Retouch.Data;

/// <summary>
/// Variants of captions that are lists of tags: other orders, and tags left out (shuffle_caption, keep_tokens and
/// caption_tag_dropout_rate of kohya's sd-scripts). A variant follows from seed, caption and number.
/// </summary>
public sealed record CaptionTags
{
    private const ulong Purpose = 0x74616773;

    /// <summary>Whether tags after the kept ones are in random order.</summary>
    public bool Shuffle { get; init; }

    /// <summary>Probability of leaving out each tag after the kept ones, 0 to 1.</summary>
    public double Dropout { get; init; }

    /// <summary>Number of first tags that are always kept, in their order.</summary>
    public int Keep { get; init; }

    /// <summary>Text between tags.</summary>
    public string Separator { get; init; } = ",";

    /// <summary>
    /// Text between kept tags and the others, which replaces <see cref="Keep"/> in captions that contain it; after a second one, tags are
    /// kept again. Null for none.
    /// </summary>
    public string? KeepSeparator { get; init; }

    /// <summary>Number of variants of each caption, at least 1.</summary>
    public int Variants { get; init; } = 1;

    /// <summary>Seed of all variants.</summary>
    public ulong Seed { get; init; }

    /// <summary>The same captions with all tags in their order.</summary>
    public CaptionTags InOrder => this with { Shuffle = false, Dropout = 0, Variants = 1 };

    /// <summary>All variants of a caption, with repetitions: each is equally probable in training.</summary>
    public IReadOnlyList<string> VariantsOf(string caption) => [.. Enumerable.Range(0, Variants).Select(k => Variant(caption, k))];

    /// <summary>Whether a caption has variants: other tags beside those that are shuffled or left out.</summary>
    public bool AppliesTo(string caption)
    {
        var (before, free, after) = Parts(caption);
        return (Shuffle && free.Length > 1) || (Dropout > 0 && free.Length > 0 && before.Length + free.Length + after.Length > 1);
    }

    /// <summary>One variant of a caption.</summary>
    /// <param name="caption">Tags between separators; white space around tags and empty tags are removed.</param>
    /// <param name="number">Number of the variant, from 0.</param>
    public string Variant(string caption, int number)
    {
        ArgumentNullException.ThrowIfNull(caption);
        var (before, free, after) = Parts(caption);
        var random = new SplitMix64(SplitMix64.Derive(Seed, [Purpose, (ulong)number, .. caption.Select(static c => (ulong)c)]));
        for (var i = Shuffle ? free.Length - 1 : 0; i > 0; i--)
        {
            var j = random.NextInt(i + 1);
            (free[i], free[j]) = (free[j], free[i]);
        }

        List<string> tags = [.. before];
        foreach (var tag in free)
        {
            if (random.NextDouble() >= Dropout)
                tags.Add(tag);
        }

        return string.Join($"{Separator.Trim()} ", tags.Concat(after));
    }

    private (string[] Before, string[] Free, string[] After) Parts(string caption)
    {
        if (KeepSeparator is null || !caption.Contains(KeepSeparator, StringComparison.Ordinal))
        {
            var all = TagsOf(caption);
            return (all[..Math.Min(Keep, all.Length)], all[Math.Min(Keep, all.Length)..], []);
        }

        // Only the first two separate.
        var parts = caption.Split(KeepSeparator, 3);
        return (TagsOf(parts[0]), TagsOf(parts[1]), parts.Length > 2 ? TagsOf(parts[2]) : []);
    }

    private string[] TagsOf(string text) => text.Split(Separator, StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
}
