using System.IO.Compression;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// Tokens and merges of CLIP's byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2021). Bytes are represented by
/// printable characters; <c>&lt;/w&gt;</c> ends a word.
/// </summary>
public sealed class ClipVocabulary
{
    internal const string WordEnd = "</w>";

    // OpenAI's merge list is longer than the part its models use: 49152 tokens, minus two byte alphabets and two special tokens.
    private const int PublishedMerges = 49152 - 256 - 2;

    private ClipVocabulary(
        Dictionary<string, int> tokens,
        List<(string Left, string Right)> merges,
        Dictionary<string, int> added,
        string origin
    )
    {
        if (tokens.Count == 0)
            throw new InputException($"'{origin}' contains no tokens.");
        (Tokens, Merges, Added, Origin) = (tokens, merges, added, origin);
    }

    /// <summary>Token ids.</summary>
    public IReadOnlyDictionary<string, int> Tokens { get; }

    /// <summary>Merges by rank.</summary>
    public IReadOnlyList<(string Left, string Right)> Merges { get; }

    /// <summary>Ids of added tokens, matched verbatim in a prompt.</summary>
    public IReadOnlyDictionary<string, int> Added { get; }

    /// <summary>File name for error messages.</summary>
    public string Origin { get; }

    /// <summary>Parses <c>vocab.json</c> and <c>merges.txt</c>.</summary>
    /// <param name="vocabulary">Contents of <c>vocab.json</c>.</param>
    /// <param name="merges">Contents of <c>merges.txt</c>.</param>
    /// <param name="origin">Folder name for error messages.</param>
    /// <exception cref="InputException">A file is malformed.</exception>
    public static ClipVocabulary Parse(ReadOnlyMemory<byte> vocabulary, ReadOnlyMemory<byte> merges, string origin)
    {
        var tokens = TokenizerBytes.Json(vocabulary, $"{origin}/vocab.json", root => Ids(root, $"{origin}/vocab.json"));
        var pairs = ParseMerges(TokenizerBytes.Text(merges.Span, $"{origin}/merges.txt"), $"{origin}/merges.txt", int.MaxValue);
        return new ClipVocabulary(tokens, pairs, [], origin);
    }

    /// <summary>Parses a <c>tokenizer.json</c> of type <c>BPE</c>.</summary>
    /// <exception cref="InputException">The file is malformed or has another tokenizer type.</exception>
    public static ClipVocabulary ParseTokenizerJson(ReadOnlyMemory<byte> bytes, string origin) =>
        TokenizerBytes.Json(
            bytes,
            origin,
            root =>
            {
                var model = root.GetProperty("model");
                // Older files omit the type, from before Unigram was added.
                if (model.TryGetProperty("type", out var type) && type.GetString() != "BPE")
                    throw new InputException(
                        $"'{origin}' has the tokenizer type {TokenizerBytes.Short(type.GetString() ?? "null")}; CLIP needs BPE."
                    );
                if (!model.TryGetProperty("end_of_word_suffix", out var suffix) || suffix.GetString() != WordEnd)
                    throw new InputException($"'{origin}': end_of_word_suffix must be {WordEnd}; this is not a CLIP tokenizer.");
                var merges = new List<(string Left, string Right)>();
                foreach (var merge in model.GetProperty("merges").EnumerateArray())
                    merges.Add(
                        merge.ValueKind == JsonValueKind.Array ? Pair(merge, origin) : Pair(merge.GetString() ?? "", origin, merges.Count)
                    );
                return new ClipVocabulary(Ids(model.GetProperty("vocab"), origin), merges, TokenizerJson.Added(root, origin), origin);
            }
        );

    /// <summary>
    /// Parses OpenAI's published merge list <c>bpe_simple_vocab_16e6.txt.gz</c>; token ids follow the order of the merges.
    /// </summary>
    /// <exception cref="InputException">The file is malformed.</exception>
    public static ClipVocabulary ParsePublished(ReadOnlyMemory<byte> gzip, string origin)
    {
        var merges = ParseMerges(TokenizerBytes.Text(Decompress(gzip, origin), origin), origin, PublishedMerges);
        var tokens = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var end in (string[])["", WordEnd])
        {
            foreach (var alphabet in ByteLetters.InPublishedOrder)
                tokens.Add(alphabet + end, tokens.Count);
        }

        foreach (var token in merges.Select(static p => p.Left + p.Right).Append("<|startoftext|>").Append("<|endoftext|>"))
        {
            if (!tokens.TryAdd(token, tokens.Count))
                throw new InputException($"'{origin}' defines the token '{TokenizerBytes.Short(token)}' twice.");
        }

        return new ClipVocabulary(tokens, merges, [], origin);
    }

    private static Dictionary<string, int> Ids(JsonElement root, string origin)
    {
        var tokens = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var member in root.EnumerateObject())
            tokens[member.Name] = TokenizerBytes.Id(member.Value, origin, member.Name);
        return tokens;
    }

    private static List<(string Left, string Right)> ParseMerges(string text, string origin, int most)
    {
        var merges = new List<(string Left, string Right)>();
        var line = 0;
        foreach (var range in text.AsSpan().Split('\n'))
        {
            var content = text.AsSpan(range).TrimEnd('\r');
            if ((line++ == 0 && content.Contains("#version", StringComparison.Ordinal)) || content.IsEmpty)
                continue;
            if (merges.Count == most)
                break;
            merges.Add(Pair(content.ToString(), origin, line - 1));
        }

        return merges;
    }

    private static (string, string) Pair(string text, string origin, int line)
    {
        var space = text.IndexOf(' ', StringComparison.Ordinal);
        if (space < 1 || space == text.Length - 1 || text.IndexOf(' ', space + 1) >= 0)
            throw new InputException(
                $"'{origin}': merge {line + 1} is '{TokenizerBytes.Short(text)}', expected two tokens separated by a space."
            );
        return (text[..space], text[(space + 1)..]);
    }

    private static (string, string) Pair(JsonElement merge, string origin)
    {
        if (
            merge.GetArrayLength() != 2
            || merge[0].GetString() is not { Length: > 0 } left
            || merge[1].GetString() is not { Length: > 0 } right
        )
            throw new InputException($"'{origin}': the merge {TokenizerBytes.Short(merge.GetRawText())} is not a pair of tokens.");
        return (left, right);
    }

    private static byte[] Decompress(ReadOnlyMemory<byte> gzip, string origin)
    {
        try
        {
            using var stream = new GZipStream(new MemoryStream(gzip.ToArray(), writable: false), CompressionMode.Decompress);
            using var result = new MemoryStream();
            var buffer = new byte[1 << 16];
            for (int read; (read = stream.Read(buffer)) > 0; )
            {
                if (result.Length + read > TokenizerBytes.MaxBytes)
                    throw new InputException($"'{origin}' decompresses to more than {TokenizerBytes.MaxBytes >> 20} MiB.");
                result.Write(buffer, 0, read);
            }

            return result.ToArray();
        }
        catch (InvalidDataException e)
        {
            throw new InputException($"'{origin}' is not a gzip file: {Reasons.Of(e)}.", e);
        }
    }
}
