using System.Text.Json;
using Retouch.Conditioning.Tokenizers;
using Retouch.Tests.Goldens;
using Retouch.Tests.Images;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Conditioning.Tokenizers;

/// <summary>CLIP's tokenizer against OpenAI's, and properties that need no golden.</summary>
public sealed class ClipTokenizerTests : IDisposable
{
    private const int Begin = 49406;
    private const int End = 49407;

    // ftfy's repair of texts decoded with a wrong character set is not implemented.
    private static readonly int[] RepairedDifferently = [48, 49];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Ids_of_all_captions_equal_OpenAIs()
    {
        using var golden = GoldenCase.Open("clip_tokenizer");
        CheckCaptions(golden.Folder, (ClipTokenizer)TokenizerFolder.Read(golden.PathOf("tokenizer")));
    }

    [RealPicturesFact]
    public void Ids_equal_OpenAIs_with_the_published_vocabulary()
    {
        var folder = Path.Combine(RealPicturesFactAttribute.Folder!, "..", "golden", "clip_tokenizer");
        var vocabulary = ClipVocabulary.ParsePublished(
            File.ReadAllBytes(Path.Combine(folder, "bpe_simple_vocab_16e6.txt.gz")),
            "published"
        );
        Assert.Equal(49408, vocabulary.Tokens.Count);
        CheckCaptions(folder, new ClipTokenizer(vocabulary));
        // The vocabulary of the tests is a subset of it.
        using var golden = GoldenCase.Open("clip_tokenizer");
        var part = Read(golden.PathOf("tokenizer"));
        Assert.All(part.Tokens, pair => Assert.Equal(vocabulary.Tokens[pair.Key], pair.Value));
        var places = vocabulary.Merges.Select(static (merge, k) => (merge, k)).ToDictionary();
        var order = part.Merges.Select(merge => places[merge]).ToList();
        Assert.Equal(order.Order(), order);
    }

    [Fact]
    public void A_tokenizer_json_gives_the_same_ids()
    {
        using var golden = GoldenCase.Open("clip_tokenizer");
        var vocabulary = Read(golden.PathOf("tokenizer"));
        foreach (var pairs in (bool[])[false, true])
        {
            var json = JsonSerializer.SerializeToUtf8Bytes(
                new
                {
                    added_tokens = new[]
                    {
                        new
                        {
                            id = Begin,
                            content = "<|startoftext|>",
                            special = true,
                        },
                        new
                        {
                            id = End,
                            content = "<|endoftext|>",
                            special = true,
                        },
                    },
                    model = new
                    {
                        type = "BPE",
                        end_of_word_suffix = "</w>",
                        vocab = vocabulary.Tokens,
                        merges = vocabulary.Merges.Select(m => pairs ? (object)new[] { m.Left, m.Right } : $"{m.Left} {m.Right}"),
                    },
                }
            );
            File.WriteAllBytes(_folder["tokenizer.json"], json);
            CheckCaptions(golden.Folder, (ClipTokenizer)TokenizerFolder.Read(Path.GetDirectoryName(_folder["tokenizer.json"])!));
        }
    }

    [Fact]
    public void Truncated_text_is_returned()
    {
        using var golden = GoldenCase.Open("clip_tokenizer");
        var tokenizer = (ClipTokenizer)TokenizerFolder.Read(golden.PathOf("tokenizer"));
        var whole = tokenizer.Encode("A photo of a cat", 77);
        Assert.Equal((7, null), (whole.Count, whole.Dropped));
        Assert.Equal([Begin, 320, 1125, 539, 320, 2368, End, End], whole.Ids.Take(8));
        var cut = tokenizer.Encode("A photo of a cat", 5);
        Assert.Equal([Begin, 320, 1125, 539, End], cut.Ids);
        Assert.Equal((5, "a cat"), (cut.Count, cut.Dropped));
        Assert.Equal([Begin, End, End], tokenizer.Encode("", 3).Ids);
        Assert.Equal(2, tokenizer.Encode(" \n ", 3).Count);
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Encode("a", 1));
    }

    [Fact]
    public void A_padding_token_in_a_prompt_is_a_token_as_in_transformers()
    {
        using var golden = GoldenCase.Open("clip_tokenizer");
        var vocabulary = Read(golden.PathOf("tokenizer"));
        var config = """{"pad_token": "<|endoftext|>", "model_max_length": 8, "tokenizer_class": "CLIPTokenizer"}"""u8.ToArray();
        var map = """{"pad_token": {"content": "!", "lstrip": false}}"""u8.ToArray();
        var tokenizer = new ClipTokenizer(vocabulary, SpecialTokens.Parse(config, map, null, "here"));
        Assert.Equal(8, tokenizer.MaxLength);
        Assert.Equal([Begin, 320, 2368, 0, 0, End, 0, 0], tokenizer.Encode("a cat!!", 8).Ids);
        // "!</w>" as a word; newer files with added tokens define the padding themselves.
        Assert.Equal([Begin, 320, 256, End, End], new ClipTokenizer(vocabulary).Encode("a !", 5).Ids);
        var newer =
            """
            {"pad_token": "<|endoftext|>", "added_tokens_decoder": {"49407": {"content": "<|endoftext|>", "special": true}}}
            """u8.ToArray();
        Assert.Equal(
            [Begin, 320, 256, End, End],
            new ClipTokenizer(vocabulary, SpecialTokens.Parse(newer, map, null, "here")).Encode("a !", 5).Ids
        );
    }

    [Fact]
    public void Merging_by_a_queue_equals_sequential_merging()
    {
        var random = new Random(7);
        for (var trial = 0; trial < 300; trial++)
        {
            // Merges in training order: of symbols that exist already.
            List<string> symbols = ["a", "b", "c", "a</w>", "b</w>", "c</w>"];
            var merges = new List<(string Left, string Right)>();
            while (merges.Count < 12)
            {
                var (left, right) = (symbols[random.Next(symbols.Count)], symbols[random.Next(symbols.Count)]);
                if (left.EndsWith("</w>", StringComparison.Ordinal) || symbols.Contains(left + right))
                    continue;
                merges.Add((left, right));
                symbols.Add(left + right);
            }

            var pairs = new BytePairs(merges);
            for (var k = 0; k < 20; k++)
            {
                var word = new string([.. Enumerable.Range(0, random.Next(1, 14)).Select(_ => (char)('a' + random.Next(3)))]);
                Assert.Equal(OneByOne(word, merges), pairs.Split(word));
            }
        }
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_word_of_a_million_letters_is_not_quadratic()
    {
        var pairs = new BytePairs([("a", "a"), ("aa", "aa"), ("aaaa", "a</w>")]);
        var tokens = pairs.Split(new string('a', 1_000_001));
        Assert.Equal("aaaaa</w>", tokens[^1]);
        Assert.Equal(250_000, tokens.Count);
    }

    [Theory]
    [InlineData("ΟΔΟΣ", "οδος")]
    [InlineData("ΣΑΣ ΣΑ Σ Σ.", "σας σα σ σ.")]
    [InlineData("ΑΣ' ΑΣ.Α", "ας' ασ.α")]
    [InlineData("İstanbul", "i\u0307stanbul")]
    [InlineData("ẞ ÀÉ \U00010400", "ß àé \U00010428")]
    public void Lower_case_equals_Pythons(string text, string lower) => Assert.Equal(lower, ClipText.Lower(text));

    private static void CheckCaptions(string folder, ClipTokenizer tokenizer)
    {
        using var scope = TensorScope.Enter();
        using var io = SafetensorsFile.Open(Path.Combine(folder, "io.safetensors"));
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "case.json")));
        var changed = document.RootElement.GetProperty("changed_by_ftfy").EnumerateArray().Select(static e => e.GetInt32()).ToList();
        var captions = JsonSerializer.Deserialize<string[]>(File.ReadAllBytes(Path.Combine(folder, "captions.json")))!;
        var expected = io.Read("out.ids_eot_padded").ToArray<long>().Chunk(77).ToList();
        var lengths = io.Read("out.untruncated_length").ToArray<long>();
        Assert.Equal(189, captions.Length);
        List<int> wrong = [];
        for (var k = 0; k < captions.Length; k++)
        {
            var sequence = tokenizer.Encode(captions[k], 77);
            if (
                !sequence.Ids.Select(static id => (long)id).SequenceEqual(expected[k])
                || tokenizer.Tokenize(captions[k]).Count + 2 != lengths[k]
            )
                wrong.Add(k);
        }

        Assert.True(
            RepairedDifferently.SequenceEqual(wrong),
            $"[{string.Join(", ", wrong)}]: {string.Join(" | ", wrong.Take(5).Select(k => captions[k]))}"
        );
        Assert.Empty(wrong.Except(changed));
    }

    private static ClipVocabulary Read(string folder) =>
        ClipVocabulary.Parse(
            File.ReadAllBytes(Path.Combine(folder, "vocab.json")),
            File.ReadAllBytes(Path.Combine(folder, "merges.txt")),
            folder
        );

    private static List<string> OneByOne(string word, List<(string Left, string Right)> merges)
    {
        List<string> symbols = [.. word.Select(static c => c.ToString())];
        symbols[^1] += "</w>";
        foreach (var (left, right) in merges)
        {
            for (var k = 0; k + 1 < symbols.Count; k++)
            {
                if (symbols[k] == left && symbols[k + 1] == right)
                {
                    symbols[k] += right;
                    symbols.RemoveAt(k + 1);
                }
            }
        }

        return symbols;
    }
}
