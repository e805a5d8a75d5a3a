using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Retouch.Conditioning.Prompts;
using Retouch.Conditioning.Tokenizers;

namespace Retouch.Fuzz;

/// <summary>
/// Readers of tokenizers, including the encoding of a text. Files that belong together are one input, separated by zero bytes.
/// </summary>
internal static class TokenizerTargets
{
    private const string Alphabet = "abcdefghijklmnopqrstuvwxyz0123456789!";

    // Words, digits, a special token, characters of one to four bytes, one that NFKC decomposes, an unpaired surrogate.
    private static readonly string[] Texts =
    [
        "",
        "a photo of a cat, 4k!!",
        "<|endoftext|> <extra_id_0></s>",
        "\u00e9\u4e2d\U0001F600 \uFB01\u2167 \u0130\u03a3 &amp;&#0;",
        "\ud800x",
        string.Concat(Enumerable.Repeat("abcabcab ", 60)),
        new('a', 500),
    ];

    public static IReadOnlyList<FuzzTarget> All(string goldens)
    {
        var clip = Path.Combine(goldens, "clip_tokenizer", "tokenizer");
        var (vocabulary, merges) = (
            File.ReadAllBytes(Path.Combine(clip, "vocab.json")),
            File.ReadAllBytes(Path.Combine(clip, "merges.txt"))
        );
        return
        [
            new(
                "vocab.json and merges.txt",
                [
                    [.. vocabulary, 0, .. merges],
                    [.. SmallVocabulary(), 0, .. SmallMerges()],
                ],
                static (bytes, _) =>
                {
                    var parts = Split(bytes, 2);
                    Encode(new ClipTokenizer(ClipVocabulary.Parse(parts[0], parts[1], "tokenizer")));
                }
            )
            {
                Share = 5,
            },
            new(
                "list of merges (gzip)",
                [Gzip(merges), Gzip(SmallMerges()), Gzip("a b"u8.ToArray())],
                static (bytes, _) => Encode(new ClipTokenizer(ClipVocabulary.ParsePublished(bytes, "bpe.txt.gz")))
            )
            {
                Share = 5,
            },
            new(
                "tokenizer.json",
                [BytePairJson(), Encoding.UTF8.GetBytes(UnigramJson())],
                static (bytes, _) =>
                {
                    if (TokenizerJson.Kind(bytes, "tokenizer.json") == "Unigram")
                        Encode(new T5Tokenizer(UnigramModel.ParseTokenizerJson(bytes, "tokenizer.json")));
                    else
                        Encode(new ClipTokenizer(ClipVocabulary.ParseTokenizerJson(bytes, "tokenizer.json")));
                }
            ),
            new(
                "special tokens",
                [.. SpecialFiles()],
                static (bytes, _) =>
                {
                    var parts = Split(bytes, 3);
                    var special = SpecialTokens.Parse(parts[0], parts[1], parts[2], "tokenizer");
                    Encode(
                        special.TokenizerClass?.StartsWith("T5", StringComparison.Ordinal) == true
                            ? new T5Tokenizer(
                                UnigramModel.ParseTokenizerJson(Encoding.UTF8.GetBytes(UnigramJson()), "tokenizer.json"),
                                special
                            )
                            : new ClipTokenizer(ClipVocabulary.Parse(SmallVocabulary(), SmallMerges(), "tokenizer"), special)
                    );
                }
            )
            {
                Share = 5,
            },
            new(
                "sentencepiece",
                [SmallPieces(), File.ReadAllBytes(Path.Combine(goldens, "t5_tokenizer", "spiece.model"))],
                static (bytes, _) => Encode(new T5Tokenizer(UnigramModel.ParseSentencePiece(bytes, "spiece.model")))
            )
            {
                Share = 10,
            },
            new("prompts", [.. Prompts()], static (bytes, folder) => _ = PromptFile.Read(FuzzTarget.Write(folder, "prompts.jsonl", bytes))),
        ];
    }

    private static void Encode(ITextTokenizer tokenizer)
    {
        foreach (var text in Texts)
            _ = tokenizer.Encode(text, 77);
    }

    private static byte[][] Split(byte[] bytes, int count)
    {
        var parts = new byte[count][];
        var start = 0;
        for (var k = 0; k < count; k++)
        {
            var end = k == count - 1 ? -1 : Array.IndexOf(bytes, (byte)0, Math.Min(start, bytes.Length));
            parts[k] = start > bytes.Length ? [] : bytes[start..(end < 0 ? bytes.Length : end)];
            start = end < 0 ? bytes.Length + 1 : end + 1;
        }

        return parts;
    }

    private static JsonObject SmallTokens()
    {
        var json = new JsonObject();
        foreach (
            var token in Alphabet
                .SelectMany(static c => (string[])[$"{c}", $"{c}</w>"])
                .Concat(["ab", "abc", "abcab</w>", "ca", "cat</w>", "aa", "aaaa", "<|startoftext|>", "<|endoftext|>"])
        )
            json[token] = json.Count;
        return json;
    }

    private static byte[] SmallVocabulary() => Encoding.UTF8.GetBytes(SmallTokens().ToJsonString());

    private static byte[] SmallMerges() => "#version: 0.2\na b\nab c\nabc ab</w>\nc a\nca t</w>\na a\naa aa\n"u8.ToArray();

    private static byte[] Gzip(byte[] bytes)
    {
        using var result = new MemoryStream();
        using (var gzip = new GZipStream(result, CompressionLevel.Optimal))
            gzip.Write(bytes);
        return result.ToArray();
    }

    private static byte[] BytePairJson() =>
        Encoding.UTF8.GetBytes(
            new JsonObject
            {
                ["version"] = "1.0",
                ["added_tokens"] = new JsonArray(
                    new JsonObject
                    {
                        ["id"] = SmallTokens()["<|startoftext|>"]!.GetValue<int>(),
                        ["content"] = "<|startoftext|>",
                        ["special"] = true,
                    },
                    new JsonObject
                    {
                        ["id"] = SmallTokens()["<|endoftext|>"]!.GetValue<int>(),
                        ["content"] = "<|endoftext|>",
                        ["special"] = true,
                    }
                ),
                ["normalizer"] = null,
                ["model"] = new JsonObject
                {
                    ["type"] = "BPE",
                    ["end_of_word_suffix"] = "</w>",
                    ["vocab"] = SmallTokens(),
                    ["merges"] = new JsonArray("a b", "ab c", new JsonArray("abc", "ab</w>"), "c a", "ca t</w>", "a a", "aa aa"),
                },
            }.ToJsonString()
        );

    private static string UnigramJson() =>
        """
            {"version":"1.0","added_tokens":[{"id":0,"content":"<pad>","special":true},{"id":1,"content":"</s>","special":true},{"id":2,
            "content":"<unk>","special":true},{"id":12,"content":"<extra_id_0>","special":true}],
            "normalizer":{"type":"Sequence","normalizers":[{"type":"Precompiled","precompiled_charsmap":null}]},
            "model":{"type":"Unigram","unk_id":2,"vocab":[["<pad>",0.0],["</s>",0.0],["<unk>",0.0],["▁",-2.5],["▁a",-3.0],["a",-3.5],
            ["b",-4.0],["abc",-5.25],["cat",-6.0],["▁photo",-7.5],["ab",-8.0],["中",-9.0]]}}
            """;

    private static IEnumerable<byte[]> SpecialFiles() =>
        (
            (string[])
                [
                    """
                        {"model_max_length":77,"tokenizer_class":"CLIPTokenizer","bos_token":{"content":"<|startoftext|>"},
                        "eos_token":"<|endoftext|>","pad_token":"!","unk_token":"<|endoftext|>"}
                        """
                        + "\0"
                        + """
                            {"bos_token":{"content":"<|startoftext|>","lstrip":false},"eos_token":"<|endoftext|>",
                            "pad_token":"<|endoftext|>"}
                            """
                        + "\0"
                        + """{"<mine>":99,"<other>":100}""",
                    """
                        {"model_max_length":1000000000000000019884624838656,"tokenizer_class":"T5TokenizerFast","extra_ids":10,
                        "eos_token":"</s>","unk_token":"<unk>","pad_token":"<pad>","additional_special_tokens":["<extra_id_0>",
                        "<extra_id_1>"],
                        "added_tokens_decoder":{"0":{"content":"<pad>"},"1":{"content":"</s>"}}}
                        """ + "\0{}\0{}",
                    "{}\0{\"additional_special_tokens\":[{\"content\":\"cat</w>\"}]}\0{}",
                ]
        ).Select(Encoding.UTF8.GetBytes);

    private static IEnumerable<byte[]> Prompts() =>
        (
            (string[])
                [
                    "{\"prompt\":\"a cat\"}\n\n{\"text\":\"two \\u00e9\",\"id\":3}\n{\"caption\":\"x\",\"prompt\":null}\n",
                    "{\"prompt\":\"a\"}",
                ]
        ).Select(Encoding.UTF8.GetBytes);

    /// <summary>A sentencepiece model of a few pieces, field by field (sentencepiece_model.proto).</summary>
    private static byte[] SmallPieces()
    {
        using var buffer = new MemoryStream();
        using (var output = new CodedOutputStream(buffer, leaveOpen: true))
        {
            foreach (
                var (text, score, kind) in ((string, float, int)[])
                    [
                        ("<pad>", 0, 3),
                        ("</s>", 0, 3),
                        ("<unk>", 0, 2),
                        ("\u2581", -2.5f, 1),
                        ("\u2581a", -3, 1),
                        ("a", -3.5f, 1),
                        ("cat", -6, 1),
                        ("abc", -5, 4),
                        ("fi", -7, 1),
                        ("\u4e2d", -9, 5),
                    ]
            )
            {
                using var piece = new MemoryStream();
                using (var fields = new CodedOutputStream(piece, leaveOpen: true))
                {
                    fields.WriteTag(1, WireFormat.WireType.LengthDelimited);
                    fields.WriteString(text);
                    fields.WriteTag(2, WireFormat.WireType.Fixed32);
                    fields.WriteFloat(score);
                    fields.WriteTag(3, WireFormat.WireType.Varint);
                    fields.WriteEnum(kind);
                }

                output.WriteTag(1, WireFormat.WireType.LengthDelimited);
                output.WriteBytes(ByteString.CopyFrom(piece.ToArray()));
            }

            // The trainer type is unigram.
            output.WriteTag(2, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(3 << 3, 1));
        }

        return buffer.ToArray();
    }
}
