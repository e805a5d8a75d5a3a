using Retouch.Core.Errors;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>Reads the folders <c>tokenizer</c>, <c>tokenizer_2</c> and <c>tokenizer_3</c> of a pipeline.</summary>
public static class TokenizerFolder
{
    /// <summary>Reads a CLIP or T5 tokenizer.</summary>
    /// <exception cref="InputException">Files are missing or malformed, or the tokenizer class is not supported.</exception>
    public static ITextTokenizer Read(string folder)
    {
        if (!Directory.Exists(folder))
            throw new InputException($"There is no folder '{folder}'.");
        var special = SpecialTokens.Parse(
            Optional("tokenizer_config.json"),
            Optional("special_tokens_map.json"),
            Optional("added_tokens.json"),
            folder
        );
        if (special.TokenizerClass is { } name and not ("CLIPTokenizer" or "T5Tokenizer" or "PreTrainedTokenizer"))
            throw new InputException($"'{folder}' contains a {name}; CLIPTokenizer and T5Tokenizer are supported.");
        if (Has("vocab.json") && Has("merges.txt"))
            return new ClipTokenizer(ClipVocabulary.Parse(Content("vocab.json"), Content("merges.txt"), folder), special);
        if (Has("spiece.model"))
            return new T5Tokenizer(UnigramModel.ParseSentencePiece(Content("spiece.model"), Path.Combine(folder, "spiece.model")), special);
        if (!Has("tokenizer.json"))
            throw new InputException(
                $"'{folder}' contains no tokenizer: it has neither vocab.json with merges.txt, nor spiece.model, nor tokenizer.json."
            );
        var (json, origin) = (Content("tokenizer.json"), Path.Combine(folder, "tokenizer.json"));
        return TokenizerJson.Kind(json, origin) == "Unigram"
            ? new T5Tokenizer(UnigramModel.ParseTokenizerJson(json, origin), special)
            : new ClipTokenizer(ClipVocabulary.ParseTokenizerJson(json, origin), special);

        bool Has(string file) => File.Exists(Path.Combine(folder, file));
        byte[] Content(string file) => TokenizerBytes.Read(Path.Combine(folder, file));
        ReadOnlyMemory<byte>? Optional(string file) => Has(file) ? Content(file) : (ReadOnlyMemory<byte>?)null;
    }
}
