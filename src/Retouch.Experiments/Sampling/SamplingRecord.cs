using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Pipelines.Lora;
using Retouch.Samplers;

namespace Retouch.Experiments.Sampling;

/// <summary>
/// Options that determine the pictures of a folder and are not in its metadata, as a file beside them: an interrupted run continues only
/// with equal options.
/// </summary>
/// <param name="Model">The model's folder, for display.</param>
/// <param name="ModelFiles">Hash of the names, lengths and times of the files of the model and of merged adapters.</param>
/// <param name="Negative">The negative prompt, or null.</param>
/// <param name="GuideFrom">Start of guidance, as a fraction of the largest timestep.</param>
/// <param name="GuideTo">End of guidance.</param>
public sealed record SamplingRecord(
    string Model,
    [property: JsonPropertyName("model_files")] string ModelFiles,
    string? Negative,
    [property: JsonPropertyName("guide_from")] double GuideFrom,
    [property: JsonPropertyName("guide_to")] double GuideTo
)
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "sampling.json";

    /// <summary>The record of a new run.</summary>
    /// <param name="model">The model's folder; for adapters, their base model is included.</param>
    /// <param name="adapters">Merged adapters.</param>
    /// <param name="negative">The negative prompt, or null.</param>
    /// <param name="guidance">The guidance.</param>
    public static SamplingRecord Of(string model, IReadOnlyList<LaidOver> adapters, string? negative, Guidance guidance)
    {
        var root = Path.GetFullPath(model);
        IEnumerable<string> places =
        [
            root,
            .. AdapterFolder.Stack(root).Select(static a => a.Base),
            .. adapters.Select(static a => a.Path),
        ];
        var stamps = string.Join('\n', places.SelectMany((place, k) => StampsOf(place).Select(stamp => $"{k} {stamp}")));
        return new(root, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(stamps))), negative, guidance.From, guidance.To);
    }

    /// <summary>Writes the record.</summary>
    /// <param name="folder">Folder of the pictures.</param>
    public void Write(string folder) =>
        AtomicFile.WriteText(Path.Combine(folder, FileName), JsonSerializer.Serialize(this, JsonStyles.State) + "\n");

    /// <summary>Checks that the run in a folder is this one.</summary>
    /// <exception cref="UsageException">It is another run, or none.</exception>
    /// <exception cref="InputException">The record is broken.</exception>
    public void CheckAgainst(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
            throw new UsageException(
                $"'{folder}' is not empty and has no {FileName}: it is not a run of 'retouch sample' that can be continued. "
                    + $"Choose another folder with --output."
            );
        var before = JsonFile.Read<SamplingRecord>(path, JsonStyles.State, "Choose another folder with --output.");
        if (before.ModelFiles != ModelFiles)
            throw new UsageException(
                $"'{folder}' was drawn from '{before.Model}', and the files of '{Model}' are not those (names, lengths or times "
                    + $"differ). Give that model, or choose another folder."
            );
        if (before with { Model = Model } != this)
            throw new UsageException(
                $"'{folder}' was drawn with the negative prompt \"{before.Negative}\" and guidance from {before.GuideFrom} to "
                    + $"{before.GuideTo}. Repeat the options of the interrupted run, or choose another folder."
            );
    }

    // Hashing gigabytes of weights would take longer than sampling a few pictures.
    private static IEnumerable<string> StampsOf(string place)
    {
        var files = Directory.Exists(place)
            ? Directory.EnumerateFiles(place, "*", SearchOption.AllDirectories).Where(File.Exists)
            : [place];
        return files
            .Select(static f => new FileInfo(f))
            .Select(f =>
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{Path.GetRelativePath(place, f.FullName)} {f.Length} {f.LastWriteTimeUtc.Ticks}"
                )
            )
            .Order(StringComparer.Ordinal);
    }
}
