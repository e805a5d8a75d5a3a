using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;
using Retouch.Conditioning.Tokenizers;

// Retouch.Tokenizers ROOT: compares the tokenizers with Microsoft.ML.Tokenizers, on the texts of the goldens.
var goldens = Path.Combine(args[0], "tests", "goldens");
CompareClip(Path.Combine(goldens, "clip_tokenizer"));
CompareT5(Path.Combine(goldens, "t5_tokenizer"));

static void CompareClip(string folder)
{
    const string begin = "<|startoftext|>";
    const string end = "<|endoftext|>";
    var files = Path.Combine(folder, "tokenizer");
    var own = (ClipTokenizer)TokenizerFolder.Read(files);
    const string words = @"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    var other = BpeTokenizer.Create(
        new BpeOptions(Path.Combine(files, "vocab.json"), Path.Combine(files, "merges.txt"))
        {
            PreTokenizer = new RegexPreTokenizer(
                new Regex(words, RegexOptions.IgnoreCase | RegexOptions.Compiled, TimeSpan.FromMinutes(1)),
                null
            ),
            EndOfWordSuffix = "</w>",
            UnknownToken = end,
            ByteLevel = true,
            SpecialTokens = new Dictionary<string, int> { [begin] = 49406, [end] = 49407 },
        }
    );
    var texts = JsonSerializer.Deserialize<string[]>(File.ReadAllBytes(Path.Combine(folder, "captions.json")))!;
    var lower = texts.Count(t => own.Tokenize(t).SequenceEqual(other.EncodeToIds(t.ToLowerInvariant())));
    var cleaned = texts.Count(t => own.Tokenize(t).SequenceEqual(other.EncodeToIds(ClipText.Clean(t))));
    Console.WriteLine($"CLIP: {lower} of {texts.Length} captions have equal ids in lower case, {cleaned} after CLIP's cleaning of texts");
    Console.WriteLine(
        $"CLIP: {Speed(texts, own.Tokenize):0} captions per second, other {Speed(texts, t => other.EncodeToIds(ClipText.Clean(t))):0}"
    );
    var random = new Random(2);
    foreach (var letters in (int[])[10_000, 40_000, 160_000])
    {
        var word = new string([.. Enumerable.Range(0, letters).Select(_ => (char)('a' + random.Next(26)))]);
        var (mine, others) = (Seconds(() => own.Tokenize(word)), Seconds(() => other.EncodeToIds(word)));
        Console.WriteLine($"CLIP: a word of {letters} letters takes {mine * 1000:0} ms, other {others * 1000:0} ms");
    }
}

static void CompareT5(string folder)
{
    var model = File.ReadAllBytes(Path.Combine(folder, "spiece.model"));
    using var golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "case.json")));
    var texts = golden.RootElement.GetProperty("texts").Deserialize<string[]>()!;
    var ids = golden.RootElement.GetProperty("ids").Deserialize<int[][]>()!;
    try
    {
        SentencePieceTokenizer.Create(new MemoryStream(model));
    }
    catch (IndexOutOfRangeException e)
    {
        Console.WriteLine($"T5: other does not load the model, which has no begin token ({e.Message})");
    }

    // bos_id, a varint of ten bytes, from -1 to 1.
    byte[] none = [0xC8, 0x02, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
    byte[] one = [0xC8, 0x02, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
    one.CopyTo(model.AsSpan(model.AsSpan().IndexOf(none)));
    var other = SentencePieceTokenizer.Create(new MemoryStream(model), addBeginningOfSentence: false, addEndOfSentence: true);
    var own = new T5Tokenizer(UnigramModel.ParseSentencePiece(model, "spiece.model"));
    var equal = Enumerable.Range(0, texts.Length).ToLookup(k => other.EncodeToIds(texts[k]).SequenceEqual(ids[k]));
    var ownEqual = Enumerable.Range(0, texts.Length).Count(k => own.Tokenize(texts[k]).Append(1).SequenceEqual(ids[k]));
    Console.WriteLine(
        $"T5: {ownEqual} of {texts.Length} texts have sentencepiece's ids, other {equal[true].Count()}; others differ, such as"
    );
    foreach (var k in equal[false].Take(4))
        Console.WriteLine($"  '{texts[k]}': [{string.Join(' ', other.EncodeToIds(texts[k]))}], expected [{string.Join(' ', ids[k])}]");
    Console.WriteLine($"T5: {Speed(texts, own.Tokenize):0} texts per second, other {Speed(texts, t => other.EncodeToIds(t)):0}");
}

// The best of five, in processor time.
static double Speed(string[] texts, Func<string, IReadOnlyList<int>> encode)
{
    const int repetitions = 20;
    return Enumerable
        .Range(0, 5)
        .Max(_ =>
            texts.Length
            * repetitions
            / Seconds(() =>
            {
                for (var k = 0; k < repetitions; k++)
                {
                    foreach (var text in texts)
                        encode(text);
                }
            })
        );
}

static double Seconds(Action work)
{
    var before = Process.GetCurrentProcess().TotalProcessorTime;
    work();
    return (Process.GetCurrentProcess().TotalProcessorTime - before).TotalSeconds;
}
