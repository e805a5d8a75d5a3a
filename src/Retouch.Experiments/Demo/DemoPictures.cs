using System.Globalization;
using System.Text;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Data;
using Retouch.Data.Scenes;
using Retouch.Experiments.Phases;
using Retouch.Experiments.Sampling;
using Retouch.Images;
using Retouch.Training.Telemetry;

namespace Retouch.Experiments.Demo;

/// <summary>
/// Writes the real pictures of a demo into its folder: reference pictures, a second set for comparison, and, for the user's pictures,
/// those for training. The sets are disjoint.
/// </summary>
public static class DemoPictures
{
    private const int Fewest = 20;
    private const int Most = 20_000;
    private const int HeldOutEvery = 10;

    /// <summary>Writes missing pictures.</summary>
    public static void Prepare(DemoSettings settings, DemoFolder folder, PhaseConsole console)
    {
        if (settings.Data is { } data)
        {
            PrepareOwn(data, settings, folder, console);
            return;
        }

        console.Heading(
            $"Rendering {Figures.Count(settings.Samples)} held-out scenes as reference, and a second set of equal size for comparison"
        );
        const ulong SceneSeed = 1;
        foreach (var (target, split) in new[] { (folder.HeldOut, SceneSplit.Test), (folder.OtherReal, SceneSplit.Validation) })
        {
            var scenes = new ProceduralScenes(SceneSeed, settings.Size, settings.Samples, split);
            Write(target, scenes, [.. Enumerable.Range(0, settings.Samples)], settings.Size, console);
        }
    }

    private static void PrepareOwn(string data, DemoSettings settings, DemoFolder folder, PhaseConsole console)
    {
        console.Heading($"Reading the pictures of {data}");
        var source = ImageFolder.Open(data);
        foreach (var note in source.Notes)
            console.Say(note);
        if (source.Count < Fewest)
            throw new InputException(
                $"'{data}' has {source.Count} pictures; the demo needs at least {Fewest} for training and evaluation."
            );
        var step = Math.Max(1, (source.Count + Most - 1) / Most);
        int[] taken = [.. Enumerable.Range(0, source.Count).Where(k => k % step == 0)];
        if (step > 1)
            console.Say(
                $"Using every {step}th of {Figures.Count(source.Count)} pictures: {Figures.Count(taken.Length)} are sufficient for a demo."
            );
        int[] held = [.. taken.Where((_, k) => k % HeldOutEvery == HeldOutEvery - 1)];
        // Neighbours in the list mostly have the same class, so both halves contain all classes.
        int[] first = held,
            second = [];
        if (held.Length >= 8)
            (first, second) = ([.. held.Where(static (_, k) => k % 2 == 0)], [.. held.Where(static (_, k) => k % 2 == 1)]);
        Write(folder.HeldOut, source, Spread(first, settings.Samples), settings.Size, console);
        if (second.Length > 0)
            Write(folder.OtherReal, source, Spread(second, settings.Samples), settings.Size, console);
        Write(folder.TrainingPictures, source, [.. taken.Where((_, k) => k % HeldOutEvery != HeldOutEvery - 1)], settings.Size, console);
    }

    /// <summary>Equidistant selection from the indices, at most the given number.</summary>
    internal static int[] Spread(int[] from, int count) =>
        from.Length <= count ? from : [.. Enumerable.Range(0, count).Select(k => from[(int)((long)k * from.Length / count)])];

    /// <summary>Writes resized and cropped pictures, then their list; no effect if the list exists.</summary>
    internal static void Write(string target, IPictureSource source, int[] indices, int size, PhaseConsole console)
    {
        if (SampledFolder.IsWhole(target))
            return;
        var framing = new Framing
        {
            Width = size,
            Height = size,
            ShrinkOnLoad = false,
        };
        var lines = new string?[indices.Length];
        var bad = new string?[indices.Length];
        const int Chunk = 64;
        using var progress = console.Progress();
        for (var start = 0; start < indices.Length; start += Chunk)
        {
            console.Cancellation.ThrowIfCancellationRequested();
            Parallel.For(
                start,
                Math.Min(start + Chunk, indices.Length),
                k =>
                {
                    var sample = source[indices[k]];
                    try
                    {
                        var png = PictureFile.Encode(
                            framing.Apply(source.Load(indices[k], framing.MinSide), seed: 0, sample.Id).Picture,
                            PictureFormat.Png
                        );
                        var name = string.Create(CultureInfo.InvariantCulture, $"{k:D5}.png");
                        AtomicFile.Write(Path.Combine(target, name), stream => stream.Write(png));
                        var label =
                            sample.Label is { } known ? source.Classes[known]
                            : source.Classes.Count > 0 ? "unlabelled"
                            : "pictures";
                        lines[k] = JsonSerializer.Serialize(
                            new
                            {
                                FileName = name,
                                Label = label,
                                Text = sample.Caption ?? sample.Id,
                            },
                            JsonStyles.Dataset
                        );
                    }
                    catch (InputException e)
                    {
                        bad[k] = e.Message;
                    }
                }
            );
            progress.Report(new TrainingProgress(Math.Min(start + Chunk, indices.Length), indices.Length) { Unit = "picture" });
        }

        var unusable = bad.OfType<string>().ToArray();
        if (unusable.Length > 0)
            progress.Note($"{unusable.Length} of {indices.Length} pictures are unusable and were skipped; the first: {unusable[0]}");
        if (indices.Length - unusable.Length < 2)
            throw new InputException($"Fewer than 2 of {indices.Length} pictures are usable. The first error: {unusable.FirstOrDefault()}");
        // Written last: without the list, the folder is incomplete.
        var text = new StringBuilder();
        foreach (var line in lines.OfType<string>())
            text.Append(line).Append('\n');
        AtomicFile.WriteText(Path.Combine(target, "metadata.jsonl"), text.ToString());
    }
}
