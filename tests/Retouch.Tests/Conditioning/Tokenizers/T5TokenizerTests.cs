using System.Text.Json;
using Google.Protobuf;
using Retouch.Conditioning.Tokenizers;
using Retouch.Tests.Goldens;

namespace Retouch.Tests.Conditioning.Tokenizers;

/// <summary>T5's tokenizer against sentencepiece, and against enumeration of all segmentations.</summary>
public sealed class T5TokenizerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Ids_equal_sentencepiece()
    {
        var tokenizer = new T5Tokenizer(UnigramModel.ParseSentencePiece(File.ReadAllBytes(PathOf("spiece.model")), "spiece.model"));
        CheckTexts(tokenizer);
        Assert.Equal((1000, 512), (tokenizer.VocabularySize, tokenizer.MaxLength));
    }

    [Fact]
    public void A_tokenizer_json_gives_the_same_ids()
    {
        var model = UnigramModel.ParseSentencePiece(File.ReadAllBytes(PathOf("spiece.model")), "spiece.model");
        var json = JsonSerializer.SerializeToUtf8Bytes(
            new
            {
                added_tokens = model
                    .Pieces.Take(3)
                    .Select(
                        static (p, k) =>
                            new
                            {
                                id = k,
                                content = p.Text,
                                special = true,
                            }
                    ),
                normalizer = new
                {
                    type = "Sequence",
                    normalizers = new object[]
                    {
                        new { type = "Precompiled", precompiled_charsmap = Convert.ToBase64String(CharacterTable()) },
                    },
                },
                model = new
                {
                    type = "Unigram",
                    unk_id = 2,
                    vocab = model.Pieces.Select(static p => new object[] { p.Text, p.Score }),
                },
            }
        );
        File.WriteAllBytes(_folder["tokenizer.json"], json);
        CheckTexts((T5Tokenizer)TokenizerFolder.Read(Path.GetDirectoryName(_folder["tokenizer.json"])!));
    }

    [Fact]
    public void The_segmentation_has_the_highest_score()
    {
        var random = new Random(3);
        for (var trial = 0; trial < 200; trial++)
        {
            var pieces = new List<UnigramPiece>
            {
                new("<pad>", 0, PieceKind.Control),
                new("</s>", 0, PieceKind.Control),
                new("<unk>", 0, PieceKind.Unknown),
            };
            while (pieces.Count < 16)
            {
                var text = new string([.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => "▁abc"[random.Next(4)])]);
                if (pieces.TrueForAll(p => p.Text != text))
                    pieces.Add(new UnigramPiece(text, -10 * random.NextDouble(), PieceKind.Normal));
            }

            var model = new UnigramModel(pieces, CharacterMap.Parse([], "here"), "here");
            for (var k = 0; k < 10; k++)
            {
                var text = new string([.. Enumerable.Range(0, random.Next(1, 9)).Select(_ => "ab c"[random.Next(4)])]);
                Assert.Contains(model.Split(text), Best(model, model.Normalise(text)));
            }
        }
    }

    [Fact]
    public void Truncated_text_is_returned()
    {
        var tokenizer = new T5Tokenizer(UnigramModel.ParseSentencePiece(File.ReadAllBytes(PathOf("spiece.model")), "spiece.model"));
        var content = tokenizer.Tokenize("two children and a cat");
        var cut = tokenizer.Encode("two children and a cat", 3);
        Assert.Equal([content[0], content[1], 1], cut.Ids);
        Assert.Equal(tokenizer.Decode(content[2..]), cut.Dropped);
        Assert.EndsWith("cat", cut.Dropped, StringComparison.Ordinal);
        var whole = tokenizer.Encode("two children and a cat", content.Count + 3);
        Assert.Equal([.. content, 1, 0, 0], whole.Ids);
        Assert.Equal((content.Count + 1, null), (whole.Count, whole.Dropped));
        Assert.Equal([1, 0], tokenizer.Encode("", 2).Ids);
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Encode("a", 0));
    }

    [Fact]
    public void Markers_and_placeholders_in_a_prompt_are_literal()
    {
        var tokenizer = new T5Tokenizer(UnigramModel.ParseSentencePiece(File.ReadAllBytes(PathOf("spiece.model")), "spiece.model"));
        // 900 pieces and 100 placeholders, in descending order.
        Assert.Equal(
            [.. tokenizer.Tokenize("a"), 999, .. tokenizer.Tokenize("cat"), 1, 900],
            tokenizer.Tokenize("a<extra_id_0> cat</s><extra_id_99>")
        );
    }

    private static void CheckTexts(T5Tokenizer tokenizer)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(PathOf("case.json")));
        var texts = document.RootElement.GetProperty("texts").Deserialize<string[]>()!;
        var ids = document.RootElement.GetProperty("ids").Deserialize<int[][]>()!;
        Assert.Equal(207, texts.Length);
        var wrong = Enumerable.Range(0, texts.Length).Where(k => !tokenizer.Tokenize(texts[k]).Append(1).SequenceEqual(ids[k])).ToList();
        Assert.True(
            wrong.Count == 0,
            string.Join(
                '\n',
                wrong.Select(k => $"{k} {texts[k]}: {string.Join(' ', tokenizer.Tokenize(texts[k]))}, expected {string.Join(' ', ids[k])}")
            )
        );
    }

    /// <summary>
    /// Segmentations of a text into pieces and unknown characters with the highest score; several that differ in order only.
    /// </summary>
    private static List<List<int>> Best(UnigramModel model, string text)
    {
        var unknown = model.Pieces.Where(static p => p.Kind == PieceKind.Normal).Min(static p => p.Score) - 10;
        var all = Ways(0).ToList();
        var most = all.Max(static way => way.Score);
        // Adjacent unknown characters are merged.
        return
        [
            .. all.Where(way => way.Score > most - 1e-4)
                .Select(way => way.Ids.Where((id, k) => id != model.UnknownId || k == 0 || way.Ids[k - 1] != model.UnknownId).ToList()),
        ];

        IEnumerable<(double Score, List<int> Ids)> Ways(int at)
        {
            if (at == text.Length)
                return [(0, [])];
            var found = model
                .Pieces.Select(static (p, id) => (p.Text, p.Score, p.Kind, Id: id))
                .Where(p => p.Kind == PieceKind.Normal && text.AsSpan(at).StartsWith(p.Text, StringComparison.Ordinal))
                .Select(static p => (p.Text.Length, p.Score, p.Id))
                .ToList();
            if (found.TrueForAll(static p => p.Length != 1))
                found.Add((1, unknown, model.UnknownId));
            return found.SelectMany(p => Ways(at + p.Length).Select(way => (way.Score + p.Score, (List<int>)[p.Id, .. way.Ids])));
        }
    }

    private static byte[] CharacterTable()
    {
        using var input = new CodedInputStream(File.ReadAllBytes(PathOf("spiece.model")));
        for (uint tag; (tag = input.ReadTag()) != 0; )
        {
            if (WireFormat.GetTagFieldNumber(tag) != 3)
            {
                input.SkipLastField();
                continue;
            }

            using var normaliser = new CodedInputStream(input.ReadBytes().ToByteArray());
            while ((tag = normaliser.ReadTag()) != 0)
            {
                if (WireFormat.GetTagFieldNumber(tag) == 2)
                    return normaliser.ReadBytes().ToByteArray();
                normaliser.SkipLastField();
            }
        }

        throw new InvalidDataException("No table.");
    }

    private static string PathOf(string file)
    {
        using var golden = GoldenCase.Open("clip_text");
        return Path.Combine(golden.Folder, "..", "t5_tokenizer", file);
    }
}
