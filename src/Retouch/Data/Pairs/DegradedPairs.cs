using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Images;

namespace Retouch.Data.Pairs;

/// <summary>Options of <see cref="DegradedPairs"/>.</summary>
public sealed record DegradedPairsOptions
{
    /// <summary>Degradation of the losers.</summary>
    public required Degradation Degradation { get; init; }

    /// <summary>
    /// Side of the pictures in pixels. Pictures are cropped and resized before degradation, so that training at this size sees the
    /// degradation unchanged.
    /// </summary>
    public required int Size { get; init; }

    /// <summary>Seed of the degradations.</summary>
    public ulong Seed { get; init; }

    /// <summary>Period of held-out pictures, written to held-out.jsonl: every n-th picture, n at least 2; 0 for none.</summary>
    public int HoldOut { get; init; }
}

/// <summary>Result of <see cref="DegradedPairs.Write"/>.</summary>
/// <param name="Folder">Absolute path of the data set.</param>
/// <param name="Pairs">Number of lines in metadata.jsonl.</param>
/// <param name="HeldOut">Number of lines in held-out.jsonl.</param>
/// <param name="Unusable">Reasons for pictures that could not be read or are too small.</param>
public sealed record DegradedPairsResult(string Folder, int Pairs, int HeldOut, IReadOnlyList<string> Unusable);

/// <summary>Writes preference pairs: winners are the pictures of a source, losers the same pictures degraded.</summary>
public static class DegradedPairs
{
    /// <summary>Writes the data set atomically.</summary>
    /// <param name="source">Source pictures.</param>
    /// <param name="options">Options.</param>
    /// <param name="output">Output folder; new or empty.</param>
    /// <param name="cancellation">Checked between pictures.</param>
    /// <exception cref="UsageException">An option is out of range, or the folder is not empty.</exception>
    /// <exception cref="InputException">No picture is usable.</exception>
    public static DegradedPairsResult Write(
        IPictureSource source,
        DegradedPairsOptions options,
        string output,
        CancellationToken cancellation
    )
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(options);
        if (options.HoldOut is < 0 or 1)
            throw new UsageException($"Hold-out period {options.HoldOut}: it must be at least 2 (every 2nd picture), or 0 for none.");
        if (File.Exists(output) || (Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any()))
            throw new UsageException($"'{output}' is not empty. Choose another folder with --output; existing files are not overwritten.");
        var framing = new Framing
        {
            Width = options.Size,
            Height = options.Size,
            ShrinkOnLoad = false,
        };
        framing.Validate();
        List<string> kept = [],
            held = [],
            unusable = [];
        AtomicFolder.Write(
            output,
            folder =>
            {
                for (var index = 0; index < source.Count; index++)
                {
                    cancellation.ThrowIfCancellationRequested();
                    var sample = source[index];
                    Picture winner;
                    try
                    {
                        winner = framing.Apply(source.Load(index), 0, sample.Id).Picture;
                    }
                    catch (InputException e)
                    {
                        unusable.Add(e.Message);
                        continue;
                    }

                    var seed = SplitMix64.Derive(options.Seed, (ulong)index);
                    var (loser, strength) = DegradedPictures.Apply(winner, options.Degradation, seed);
                    // The extension is part of the name, since a.jpg and a.png are different pictures.
                    var (better, worse) = ($"winners/{sample.Id}.png", $"losers/{sample.Id}.png");
                    Save(winner, folder, better);
                    Save(loser, folder, worse);
                    var line = JsonSerializer.Serialize(
                        new
                        {
                            Winner = better,
                            Loser = worse,
                            sample.Caption,
                            Label = LabelOf(source, sample),
                            options.Degradation,
                            Strength = strength,
                            Seed = seed,
                        },
                        JsonStyles.Dataset
                    );
                    (options.HoldOut > 0 && index % options.HoldOut == options.HoldOut - 1 ? held : kept).Add(line);
                }

                if (kept.Count == 0)
                    throw new InputException($"None of the {source.Count} pictures is usable:\n  {string.Join("\n  ", unusable.Take(5))}");
                File.WriteAllText(Path.Combine(folder, "metadata.jsonl"), Text(kept));
                if (options.HoldOut > 0)
                    File.WriteAllText(Path.Combine(folder, "held-out.jsonl"), Text(held));
            }
        );
        return new DegradedPairsResult(Path.GetFullPath(output), kept.Count, held.Count, unusable);
    }

    /// <summary>Class name, or number if given as such: a number written for a named class would be read as a model's class.</summary>
    private static object? LabelOf(IPictureSource source, Sample sample) =>
        sample.Label is not { } label ? null
        : source.HasNumberedClasses ? label
        : source.Classes[label];

    private static string Text(List<string> lines) => string.Concat(lines.Select(static l => l + "\n"));

    private static void Save(Picture picture, string folder, string name)
    {
        var path = Path.Combine(folder, name.Replace('/', Path.DirectorySeparatorChar));
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        PictureFile.Save(picture, path);
    }
}
