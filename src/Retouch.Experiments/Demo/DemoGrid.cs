using System.Text.Json;
using Retouch.Data;
using Retouch.Evaluation.Reports;

namespace Retouch.Experiments.Demo;

/// <summary>Samples of all models side by side, with a real picture of the same class.</summary>
internal static class DemoGrid
{
    private const int Shown = 24;

    /// <summary>Reads the first pictures of each folder.</summary>
    public static PictureGrid Read(DemoSettings settings, DemoFolder folder)
    {
        var count = Math.Min(Shown, settings.Samples);
        var samples = File.ReadLines(Path.Combine(folder.Samples(DemoArm.Base.Key), "metadata.jsonl"))
            .Take(count)
            .Select(static line => JsonDocument.Parse(line).RootElement)
            .ToArray();
        var classes = samples
            .Select(static s => s.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.String ? text.GetString()! : null)
            .ToArray();
        string[] names =
        [
            .. samples.Select((s, k) => $"seed {s.GetProperty("seed").GetUInt64()}{(classes[k] is { } name ? ", " + name : "")}"),
        ];
        byte[] Picture(string key, int k) =>
            File.ReadAllBytes(Path.Combine(folder.Samples(key), samples[k].GetProperty("file_name").GetString()!));
        PictureColumn[] columns =
        [
            .. DemoArm
                .All.Prepend(DemoArm.Base)
                .Select(arm => new PictureColumn(arm.Name, [.. Enumerable.Range(0, count).Select(k => Picture(arm.Key, k))])),
            new PictureColumn("real, held-out", RealOnes(folder, classes)),
        ];
        return new PictureGrid("Samples with the same seeds and classes", names, columns)
        {
            Note =
                "The first seeds of each set, not selected. The real picture of each sample has the same "
                + "class and is otherwise unrelated.",
        };
    }

    private static byte[][] RealOnes(DemoFolder folder, IReadOnlyList<string?> classes)
    {
        var real = ImageFolder.Open(folder.HeldOut);
        var byClass = Enumerable.Range(0, real.Count).ToLookup(k => real[k].Label is { } label ? real.Classes[label] : null);
        var used = new Dictionary<string, int>(StringComparer.Ordinal);
        return
        [
            .. classes.Select(
                (name, k) =>
                {
                    int[] fitting = name is not null && byClass.Contains(name) ? [.. byClass[name]] : [.. Enumerable.Range(0, real.Count)];
                    var turn = used.GetValueOrDefault(name ?? "");
                    used[name ?? ""] = turn + 1;
                    return File.ReadAllBytes(real.FilePath(fitting[turn % fitting.Length]));
                }
            ),
        ];
    }
}
