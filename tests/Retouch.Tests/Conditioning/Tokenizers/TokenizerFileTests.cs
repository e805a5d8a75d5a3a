using System.Text;
using Retouch.Conditioning.Tokenizers;
using Retouch.Core.Errors;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Telemetry;

namespace Retouch.Tests.Conditioning.Tokenizers;

/// <summary>Untrusted tokenizer files: rejected with a reason, without side effects.</summary>
public sealed class TokenizerFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("", "a b")]
    [InlineData("[]", "a b")]
    [InlineData("{}", "a b")]
    [InlineData("{\"a\": -1}", "a b")]
    [InlineData("{\"a\": 1.5}", "a b")]
    [InlineData("{\"a\": 99999999999}", "a b")]
    [InlineData("{\"a\": \"1\"}", "a b")]
    [InlineData("{\"a\": 1, \"a\": 2}", "a b")]
    [InlineData("{\"\\ud800\": 1}", "a b")]
    [InlineData("{\"a\": 1}", "ab")]
    [InlineData("{\"a\": 1}", "a b c")]
    [InlineData("{\"a\": 1}", "a ")]
    [InlineData("{\"a\": 1}", "\u0001 b")]
    public void A_malformed_vocabulary_is_rejected(string vocabulary, string merges)
    {
        // The last one is well-formed, but has no special tokens.
        var failure = Assert.Throws<InputException>(() =>
            new ClipTokenizer(ClipVocabulary.Parse(Encoding.UTF8.GetBytes(vocabulary), Encoding.UTF8.GetBytes(merges), "here"))
        );
        Assert.Contains("here", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_other_than_text_are_rejected()
    {
        Assert.Throws<InputException>(static () => ClipVocabulary.Parse("{\"a\": 1}"u8.ToArray(), new byte[] { 0xFF, 0x20, 0x61 }, "here"));
        Assert.Throws<InputException>(static () =>
            ClipVocabulary.Parse(new byte[] { 0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D }, "a b"u8.ToArray(), "here")
        );
        Assert.Throws<InputException>(static () => ClipVocabulary.ParsePublished("plain"u8.ToArray(), "here"));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"model\": 3}")]
    [InlineData("{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 1}, \"merges\": []}}")]
    [InlineData("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 1}, \"merges\": []}}")]
    [InlineData("{\"model\": {\"type\": \"BPE\", \"end_of_word_suffix\": \"</w>\", \"vocab\": {\"a\": 1}, \"merges\": [3]}}")]
    [InlineData("{\"model\": {\"type\": \"BPE\", \"end_of_word_suffix\": \"</w>\", \"vocab\": {\"a\": 1}, \"merges\": [[\"a\"]]}}")]
    [InlineData("{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"a\"]]}}")]
    [InlineData("{\"model\": {\"type\": \"Unigram\", \"unk_id\": 5, \"vocab\": [[\"a\", 0]]}}")]
    [InlineData("{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"a\", 1e999]]}}")]
    [InlineData("{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"a\", 0], [\"b\", 0], [\"b\", 0]]}}")]
    [InlineData("{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"a\", 0], [\"\", 0]]}}")]
    [InlineData(
        "{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"a\", 0]]}, \"normalizer\": {\"precompiled_charsmap\": \"?\"}}"
    )]
    [InlineData(
        "{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"a\", 0]]}, \"normalizer\": {\"precompiled_charsmap\": \"AAAA\"}}"
    )]
    public void A_tokenizer_json_that_is_malformed_is_refused(string json)
    {
        File.WriteAllText(_folder["tokenizer.json"], json);
        Assert.Throws<InputException>(() => TokenizerFolder.Read(Path.GetDirectoryName(_folder["tokenizer.json"])!));
    }

    [Fact]
    public void Missing_files_of_a_folder_are_named()
    {
        var folder = Path.GetDirectoryName(_folder["x"])!;
        Assert.Contains("vocab.json", Assert.Throws<InputException>(() => TokenizerFolder.Read(folder)).Message, StringComparison.Ordinal);
        File.WriteAllText(_folder["tokenizer_config.json"], "{\"tokenizer_class\": \"BertTokenizerFast\"}");
        Assert.Contains(
            "BertTokenizer",
            Assert.Throws<InputException>(() => TokenizerFolder.Read(folder)).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<InputException>(() => TokenizerFolder.Read(_folder["none"]));
    }

    [Theory]
    [InlineData("{\"pad_token\": 3}")]
    [InlineData("{\"eos_token\": {\"text\": \"x\"}}")]
    [InlineData("{\"model_max_length\": \"77\"}")]
    [InlineData("{\"extra_ids\": 100000000}")]
    [InlineData("{\"added_tokens_decoder\": {\"x\": {\"content\": \"y\"}}}")]
    [InlineData("{\"added_tokens_decoder\": {\"1\": {}}}")]
    [InlineData("{\"added_tokens_decoder\": []}")]
    [InlineData("3")]
    public void Malformed_special_tokens_are_rejected(string json) =>
        Assert.Throws<InputException>(() => SpecialTokens.Parse(Encoding.UTF8.GetBytes(json), null, null, "here"));

    [Fact]
    public void A_missing_limit_is_unlimited()
    {
        var tokens = SpecialTokens.Parse(
            "{\"model_max_length\": 1000000000000000019884624838656, \"tokenizer_class\": \"T5TokenizerFast\"}"u8.ToArray(),
            null,
            "{\"<x>\": 7}"u8.ToArray(),
            "here"
        );
        Assert.Equal((null, "T5Tokenizer", 7), (tokens.MaxLength, tokens.TokenizerClass, tokens.Added["<x>"]));
    }

    [Fact]
    public void Damaged_files_are_rejected_or_read()
    {
        using var golden = GoldenCase.Open("clip_tokenizer");
        var random = new Random(11);
        var sentencePiece = File.ReadAllBytes(Path.Combine(golden.Folder, "..", "t5_tokenizer", "spiece.model"));
        var (vocabulary, merges) = (
            File.ReadAllBytes(golden.PathOf("tokenizer/vocab.json")),
            File.ReadAllBytes(golden.PathOf("tokenizer/merges.txt"))
        );
        var refused = 0;
        for (var trial = 0; trial < 60; trial++)
        {
            refused += Refused(() =>
                new T5Tokenizer(UnigramModel.ParseSentencePiece(Damage(sentencePiece, random, trial), "damaged")).Encode(
                    "e\u0301 two ① ½ cats",
                    16
                )
            );
            refused += Refused(() =>
                new ClipTokenizer(ClipVocabulary.Parse(Damage(vocabulary, random, trial), merges, "damaged")).Encode("two cats", 16)
            );
            refused += Refused(() =>
                new ClipTokenizer(ClipVocabulary.Parse(vocabulary, Damage(merges, random, trial), "damaged")).Encode("two cats", 16)
            );
        }

        Assert.InRange(refused, 30, 179);

        static int Refused(Action read)
        {
            try
            {
                read();
                return 0;
            }
            catch (InputException)
            {
                return 1;
            }
        }
    }

    /// <summary>Copy that is truncated, or has mutated bytes, often near the beginning with its sizes and tries.</summary>
    private static byte[] Damage(byte[] bytes, Random random, int trial)
    {
        if (trial % 3 == 0)
            return bytes[..random.Next(bytes.Length)];
        var copy = bytes.ToArray();
        for (var k = 0; k < 1 + (trial % 20); k++)
            copy[random.Next(trial % 2 == 0 ? copy.Length : Math.Min(copy.Length, 4096))] = (byte)random.Next(256);
        return copy;
    }
}
