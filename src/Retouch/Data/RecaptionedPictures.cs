using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data.Pairs;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>A source with other captions, of pairs for a pair source.</summary>
internal class RecaptionedPictures : ChangedSamples
{
    private readonly Func<Sample, Sample> _change;

    private protected RecaptionedPictures(IPictureSource source, Func<Sample, Sample> change)
        : base(source) => _change = change;

    /// <summary>
    /// Captions with variants: <see cref="Sample.Captions"/> are the variants of all captions, of which one is drawn each time,
    /// <see cref="Sample.Caption"/> is the first caption in its order.
    /// </summary>
    /// <param name="source">Underlying source.</param>
    /// <param name="tags">Variants.</param>
    public static IPictureSource With(IPictureSource source, CaptionTags tags) =>
        Of(
            source,
            sample =>
                sample.Caption is not { } first
                    ? sample
                    : sample with
                    {
                        Caption = tags.InOrder.Variant(first, 0),
                        Captions = [.. sample.AllCaptions.SelectMany(tags.VariantsOf)],
                    }
        );

    /// <summary>One caption for all pictures.</summary>
    /// <param name="source">Underlying source.</param>
    /// <param name="caption">The caption.</param>
    public static IPictureSource With(IPictureSource source, string caption) =>
        Of(source, sample => sample with { Caption = caption, Captions = null });

    /// <summary>Requires that a caption of a source has variants.</summary>
    /// <exception cref="InputException">None has.</exception>
    public static void Require(IPictureSource source, CaptionTags tags)
    {
        var captions = Enumerable.Range(0, source.Count).SelectMany(k => source[k].AllCaptions).ToArray();
        if (captions.Length > 0 && !Array.Exists(captions, tags.AppliesTo))
            throw new InputException(
                $"data.captions has no effect on any of {Figures.Count(captions.Length)} captions: none has several tags between "
                    + $"'{tags.Separator}' after the kept ones. The first is '{Excerpt.Of(captions[0])}'. Give data.captions.separator, or "
                    + "leave data.captions out."
            );
    }

    private static IPictureSource Of(IPictureSource source, Func<Sample, Sample> change) =>
        source is IPairSource pairs ? new RecaptionedPairs(pairs, change) : new RecaptionedPictures(source, change);

    private protected override Sample Change(Sample sample) => _change(sample);

    private sealed class RecaptionedPairs(IPairSource pairs, Func<Sample, Sample> change) : RecaptionedPictures(pairs, change), IPairSource
    {
        /// <inheritdoc/>
        public Sample Loser(int index) => Change(pairs.Loser(index));

        /// <inheritdoc/>
        public SourcePicture LoadLoser(int index, int minSide = 0) => pairs.LoadLoser(index, minSide);
    }
}
