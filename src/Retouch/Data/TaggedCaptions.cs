using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data.Pairs;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>
/// A source whose captions have variants (<see cref="CaptionTags"/>): <see cref="Sample.Captions"/> are the variants of all captions, of
/// which one is drawn each time, <see cref="Sample.Caption"/> is the first caption in its order.
/// </summary>
internal class TaggedCaptions : IPictureSource
{
    private readonly IPictureSource _source;
    private readonly CaptionTags _tags;

    private protected TaggedCaptions(IPictureSource source, CaptionTags tags) => (_source, _tags) = (source, tags);

    /// <inheritdoc/>
    public int Count => _source.Count;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => _source.Classes;

    /// <inheritdoc/>
    public bool HasNumberedClasses => _source.HasNumberedClasses;

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes => _source.Notes;

    /// <inheritdoc/>
    public Sample this[int index] => Vary(_source[index]);

    /// <summary>Creates a source with variants; of pairs for a pair source.</summary>
    /// <param name="source">Underlying source.</param>
    /// <param name="tags">Variants.</param>
    public static IPictureSource Of(IPictureSource source, CaptionTags tags) =>
        source is IPairSource pairs ? new TaggedPairs(pairs, tags) : new TaggedCaptions(source, tags);

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

    /// <inheritdoc/>
    public bool HasMask(int index) => _source.HasMask(index);

    /// <inheritdoc/>
    public Picture? LoadMask(int index) => _source.LoadMask(index);

    /// <inheritdoc/>
    public string Stamp(int index) => _source.Stamp(index);

    /// <inheritdoc/>
    public IReadOnlyList<string> FilesOf(int index) => _source.FilesOf(index);

    /// <inheritdoc/>
    public (int Width, int Height) SizeOf(int index) => _source.SizeOf(index);

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0) => _source.Load(index, minSide);

    private protected Sample Vary(Sample sample) =>
        sample.Caption is not { } first
            ? sample
            : sample with
            {
                Caption = _tags.InOrder.Variant(first, 0),
                Captions = [.. sample.AllCaptions.SelectMany(_tags.VariantsOf)],
            };

    private sealed class TaggedPairs(IPairSource pairs, CaptionTags tags) : TaggedCaptions(pairs, tags), IPairSource
    {
        /// <inheritdoc/>
        public Sample Loser(int index) => Vary(pairs.Loser(index));

        /// <inheritdoc/>
        public SourcePicture LoadLoser(int index, int minSide = 0) => pairs.LoadLoser(index, minSide);
    }
}
