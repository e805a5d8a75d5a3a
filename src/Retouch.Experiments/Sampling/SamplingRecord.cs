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
using Retouch.Torch;

namespace Retouch.Experiments.Sampling;

/// <summary>
/// Options that determine the pictures of a folder but are not part of its metadata, in a file of the folder: an interrupted run resumes
/// only with equal options.
/// </summary>
/// <param name="Model">Folder of the model, for display.</param>
/// <param name="ModelFiles">Hash of names, lengths and times of the files of the model and of merged adapters.</param>
/// <param name="Negative">Negative prompt, or null.</param>
/// <param name="GuideFrom">Start of guidance, as a fraction of the largest timestep.</param>
/// <param name="GuideTo">End of guidance.</param>
/// <param name="Precision">Compute type; null for float32.</param>
public sealed record SamplingRecord(
    string Model,
    [property: JsonPropertyName("model_files")] string ModelFiles,
    string? Negative,
    [property: JsonPropertyName("guide_from")] double GuideFrom,
    [property: JsonPropertyName("guide_to")] double GuideTo,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Precision = null
)
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "sampling.json";

    /// <summary>Creates the record of a new run.</summary>
    /// <param name="model">Folder of the model; for adapters, their base model is included.</param>
    /// <param name="adapters">Merged adapters.</param>
    /// <param name="negative">Negative prompt, or null.</param>
    /// <param name="guidance">Guidance.</param>
    /// <param name="precision">Compute type.</param>
    public static SamplingRecord Of(
        string model,
        IReadOnlyList<MergedAdapters> adapters,
        string? negative,
        Guidance guidance,
        DType precision = DType.Float32
    )
    {
        var root = Path.GetFullPath(model);
        IEnumerable<string> places =
        [
            root,
            .. AdapterFolder.Stack(root).Select(static a => a.Base),
            .. adapters.Select(static a => a.Path),
        ];
        var stamps = string.Join('\n', places.SelectMany((place, k) => StampsOf(place).Select(stamp => $"{k} {stamp}")));
        var files = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(stamps)));
        return new(root, files, negative, guidance.From, guidance.To, precision == DType.Float32 ? null : precision.Name());
    }

    /// <summary>Writes the record.</summary>
    /// <param name="folder">Folder of the pictures.</param>
    public void Write(string folder) =>
        AtomicFile.WriteText(Path.Combine(folder, FileName), JsonSerializer.Serialize(this, JsonStyles.State) + "\n");

    /// <summary>Checks that the record of a folder equals this one.</summary>
    /// <exception cref="UsageException">The record differs or is missing.</exception>
    /// <exception cref="InputException">The record is damaged.</exception>
    public void CheckAgainst(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
            throw new UsageException(
                $"'{folder}' is not empty and has no {FileName}: it is not the output of an interrupted 'retouch sample'. "
                    + $"Choose another folder with --output."
            );
        var before = JsonFile.Read<SamplingRecord>(path, JsonStyles.State, "Choose another folder with --output.");
        if (before.ModelFiles != ModelFiles)
            throw new UsageException(
                $"'{folder}' was sampled from '{before.Model}', and the files of '{Model}' are different (names, lengths or "
                    + $"times). Give that model, or choose another folder."
            );
        if (before with { Model = Model } != this)
            throw new UsageException(
                $"'{folder}' was sampled with the negative prompt \"{before.Negative}\", guidance from {before.GuideFrom} to "
                    + $"{before.GuideTo}, in {before.Precision ?? DType.Float32.Name()}. Repeat the options of the interrupted run, or "
                    + "choose another folder."
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
