using System.Text;
using Retouch.Core.Errors;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// T5 tokenizer (Raffel et al. 2020, section 2.1.2): a unigram model and an end token. As in transformers, text in a prompt that spells
/// a special token becomes that token.
/// </summary>
public sealed class T5Tokenizer : ITextTokenizer
{
    private const int DefaultLength = 512;
    private const int DefaultExtraIds = 100;

    private readonly UnigramModel _model;
    private readonly AddedTokens _added;
    private readonly int _end;
    private readonly int _pad;

    /// <param name="model">Vocabulary.</param>
    /// <param name="special">Special tokens; T5's defaults for missing values.</param>
    /// <exception cref="InputException">A special token has no id.</exception>
    public T5Tokenizer(UnigramModel model, SpecialTokens? special = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        special ??= new SpecialTokens();
        _model = model;
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var k = 0; k < model.Pieces.Count; k++)
            ids.TryAdd(model.Pieces[k].Text, k);
        var added = new Dictionary<string, int>(model.Added, StringComparer.Ordinal);
        // A spiece.model does not contain the placeholders, which follow it in descending order.
        var extra = model.Added.Count > 0 ? 0 : special.ExtraIds ?? DefaultExtraIds;
        for (var k = 0; k < extra; k++)
            added[$"<extra_id_{k}>"] = model.Pieces.Count + extra - 1 - k;
        foreach (var (text, id) in special.Added)
            added[text] = id;
        string[] markers = [special.End ?? "</s>", special.Pad ?? "<pad>", special.Unknown ?? "<unk>"];
        foreach (var text in markers)
        {
            if (!added.ContainsKey(text))
                added[text] = ids.TryGetValue(text, out var id)
                    ? id
                    : throw new InputException(
                        $"'{model.Origin}': the vocabulary has no '{TokenizerBytes.Short(text)}', the end, padding or unknown token."
                    );
        }

        foreach (var text in special.Additional)
        {
            if (!added.ContainsKey(text) && ids.TryGetValue(text, out var id))
                added[text] = id;
        }

        _added = new AddedTokens(added, model.Origin);
        (_end, _pad) = (added[markers[0]], added[markers[1]]);
        VocabularySize = Math.Max(model.Pieces.Count, added.Values.Max() + 1);
        MaxLength = special.MaxLength is > 0 and var length ? length : DefaultLength;
    }

    /// <inheritdoc/>
    public int MaxLength { get; }

    /// <inheritdoc/>
    public int VocabularySize { get; }

    /// <inheritdoc/>
    /// <exception cref="InputException">The model's character map is corrupt.</exception>
    public TokenSequence Encode(string text, int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        var content = Tokenize(text);
        var kept = Math.Min(content.Count, length - 1);
        var ids = new int[length];
        Array.Fill(ids, _pad);
        content.CopyTo(0, ids, 0, kept);
        ids[kept] = _end;
        return new TokenSequence(ids, kept + 1, kept < content.Count ? Decode(content[kept..]) : null);
    }

    /// <summary>Token ids of a text without the end token, untruncated.</summary>
    /// <exception cref="InputException">The model's character map is corrupt.</exception>
    public List<int> Tokenize(string text) => _added.Encode(text, _model.Split);

    /// <summary>Decodes ids to text; ids outside the vocabulary are skipped.</summary>
    public string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var text = new StringBuilder();
        foreach (var id in ids)
            text.Append(id >= 0 && id < _model.Pieces.Count ? _model.Pieces[id].Text : "");
        return text.Replace(UnigramModel.Space, ' ').ToString().Trim();
    }
}
