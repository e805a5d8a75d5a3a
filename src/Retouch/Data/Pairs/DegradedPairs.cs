using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Images;

namespace Retouch.Data.Pairs;

/// <summary>How a data set of pairs is made.</summary>
public sealed record DegradedPairsOptions
{
    /// <summary>How losers are made of winners.</summary>
    public required Degradation Degradation { get; init; }

    /// <summary>
    /// Side of the pictures in pixels; they are framed before they are degraded, so that a training of this size sees the degradation as it
    /// is.
    /// </summary>
    public required int Size { get; init; }

    /// <summary>Decides what is drawn.</summary>
    public ulong Seed { get; init; }

    /// <summary>Every how many pictures one is held out, into held-out.jsonl; 0 for none.</summary>
    public int HoldOut { get; init; }
}

/// <summary>What was made.</summary>
/// <param name="Folder">Where.</param>
/// <param name="Pairs">Lines of metadata.jsonl.</param>
/// <param name="HeldOut">Lines of held-out.jsonl.</param>
/// <param name="Unusable">Pictures that could not be read or are too small, with the reason.</param>
public sealed record DegradedPairsResult(string Folder, int Pairs, int HeldOut, IReadOnlyList<string> Unusable);

/// <summary>Makes a data set of pairs: winners are the pictures of a source, losers the same pictures made worse.</summary>
public static class DegradedPairs
{
    private static readonly JsonSerializerOptions Lines = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower) },
    };

    /// <summary>Writes the data set, as a whole or not at all.</summary>
    /// <param name="source">The pictures.</param>
    /// <param name="options">How.</param>
    /// <param name="output">The folder; new or empty.</param>
    /// <param name="cancellation">Stops between pictures.</param>
    /// <exception cref="UsageException">An option is out of range, or the folder is not empty.</exception>
    /// <exception cref="InputException">No picture can be used.</exception>
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
            throw new UsageException($"Every {options.HoldOut}th picture is to be held out; it is every 2nd or rarer, or 0 for none.");
        if (File.Exists(output) || (Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any()))
            throw new UsageException($"'{output}' is not empty. Choose another folder with --output; nothing is ever overwritten.");
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
                    // The ending stays in the name: a.jpg and a.png are two pictures.
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
                        Lines
                    );
                    (options.HoldOut > 0 && index % options.HoldOut == options.HoldOut - 1 ? held : kept).Add(line);
                }

                if (kept.Count == 0)
                    throw new InputException(
                        $"None of the {source.Count} pictures can be used:\n  {string.Join("\n  ", unusable.Take(5))}"
                    );
                File.WriteAllText(Path.Combine(folder, "metadata.jsonl"), Text(kept));
                if (options.HoldOut > 0)
                    File.WriteAllText(Path.Combine(folder, "held-out.jsonl"), Text(held));
            }
        );
        return new DegradedPairsResult(Path.GetFullPath(output), kept.Count, held.Count, unusable);
    }

    /// <summary>A class by its name: a number would be taken for a model's own.</summary>
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
