using Retouch.Core.Errors;
using Retouch.Data;

namespace Retouch.Training.Options;

/// <summary>Variants of captions that are lists of tags.</summary>
public sealed record CaptionOptions
{
    private const ulong TagPurpose = 0x63617074746167;

    /// <summary>Shuffle the tags of a caption after the kept ones.</summary>
    public bool Shuffle { get; init; }

    /// <summary>Tags at the start of a caption that are neither shuffled nor dropped, at least 0.</summary>
    [Bounds(AtLeast = 0)]
    public int KeepTokens { get; init; }

    /// <summary>
    /// Text after which tags are shuffled or dropped, as |||, in captions that contain it, in place of keepTokens; tags after a second
    /// one are kept.
    /// </summary>
    public string? KeepTokensSeparator { get; init; }

    /// <summary>Text between tags.</summary>
    public string Separator { get; init; } = ",";

    /// <summary>Probability of dropping each tag after the kept ones, in [0, 1].</summary>
    [Bounds(AtLeast = 0, AtMost = 1)]
    public double TagDropout { get; init; }

    /// <summary>
    /// Variants of each caption, from 1 to 1000: all are encoded before the first step, and one is drawn each time a sample is used.
    /// </summary>
    [Bounds(AtLeast = 1, AtMost = 1000)]
    public int Variants { get; init; } = 8;

    /// <summary>Variants of a run's captions.</summary>
    /// <param name="seed">Seed of the run.</param>
    internal CaptionTags ToTags(ulong seed) =>
        new()
        {
            Shuffle = Shuffle,
            Dropout = TagDropout,
            Keep = KeepTokens,
            Separator = Separator,
            KeepSeparator = KeepTokensSeparator,
            Variants = Variants,
            Seed = SplitMix64.Derive(seed, TagPurpose),
        };

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.That(Shuffle || TagDropout > 0, "data.captions has no effect without shuffle or tagDropout; leave it out");
        check.That(Separator.Length > 0, nameof(Separator), "is empty; give the text between tags");
        check.That(
            KeepTokensSeparator is not { } kept || (kept.Trim().Length > 0 && kept != Separator),
            nameof(KeepTokensSeparator),
            "is empty or equals separator; give another text, such as |||"
        );
    }
}
