using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// Copies a diffusers folder with weights of another type or another shard size. No network is built, so components of any library are
/// supported.
/// </summary>
public static class FolderConversion
{
    private static readonly string[] Stems = [WeightFiles.Stem, "model"];
    private static readonly string[] WeightEndings =
    [
        ".safetensors",
        ".safetensors.index.json",
        ".bin",
        ".bin.index.json",
        ".ckpt",
        ".pt",
        ".pth",
        ".msgpack",
        ".onnx",
        ".onnx_data",
        ".h5",
    ];

    /// <summary>Result for one component.</summary>
    /// <param name="Name">Folder of the component; empty if the input is a single component.</param>
    /// <param name="Tensors">Number of tensors written.</param>
    /// <param name="Bytes">Total size of the tensors.</param>
    /// <param name="Files">Files written.</param>
    /// <param name="Note">Note on ignored files, or null.</param>
    public sealed record Converted(string Name, int Tensors, long Bytes, IReadOnlyList<string> Files, string? Note = null);

    /// <summary>Converts a pipeline or a single component.</summary>
    /// <param name="source">A folder with <c>model_index.json</c> or <c>config.json</c>.</param>
    /// <param name="folder">Output folder, created atomically.</param>
    /// <param name="dtype">Type of the stored weights; null for no conversion.</param>
    /// <param name="maxShardSize">Maximum bytes per file; null for one file per component.</param>
    /// <param name="variant">Variant of the weights; see <see cref="WeightFiles.Open"/>.</param>
    /// <exception cref="InputException">The source is not such a folder, weights are missing or invalid, or one exceeds the range of
    /// float16.</exception>
    public static IReadOnlyList<Converted> Convert(string source, string folder, DType? dtype, long? maxShardSize, string? variant = null)
    {
        AtomicFolder.Recover(source);
        var isPipeline = File.Exists(Path.Combine(source, PipelineLayout.IndexName));
        if (!isPipeline && !File.Exists(Path.Combine(source, ComponentFolder.ConfigName)))
            throw new InputException(
                $"'{source}' is not a diffusers folder: it has neither {PipelineLayout.IndexName} nor {ComponentFolder.ConfigName}."
            );
        List<string> parts = isPipeline
            ? [.. Directory.EnumerateDirectories(source).Select(static d => Path.GetFileName(d)).Order(StringComparer.Ordinal)]
            : [""];
        var done = new List<Converted>();
        AtomicFolder.Write(
            folder,
            temporary =>
            {
                if (isPipeline)
                {
                    foreach (var file in Directory.EnumerateFiles(source).Where(static f => !IsWeight(f)))
                        File.Copy(file, Path.Combine(temporary, Path.GetFileName(file)));
                }

                foreach (var part in parts)
                {
                    var (from, target) = (Path.Combine(source, part), Path.Combine(temporary, part));
                    FolderCopy.Copy(from, target, static path => !IsWeight(path));
                    if (Directory.EnumerateFiles(from).Any(IsWeight))
                        done.Add(Rewrite(part, from, target, dtype, maxShardSize, variant));
                }
            }
        );
        return done;
    }

    private static bool IsWeight(string path) => WeightEndings.Any(e => path.EndsWith(e, StringComparison.OrdinalIgnoreCase));

    private static Converted Rewrite(string name, string from, string target, DType? dtype, long? maxShardSize, string? variant)
    {
        var stem =
            Stems.FirstOrDefault(s =>
                Directory.EnumerateFiles(from, s + ".*safetensors*").Any() || Directory.EnumerateFiles(from, s + "-*.safetensors").Any()
            ) ?? Stems[0];
        using var weights = WeightFiles.Open(from, name.Length > 0 ? WeightChoice.OrPlain(from, variant, stem) : variant, stem);
        var tensors = WeightTypes.Lazily(weights, dtype);
        var files = WeightShards.Write(target, stem, tensors, maxShardSize);
        Announce(Path.Combine(target, ComponentFolder.ConfigName), dtype);
        return new Converted(name, tensors.Count, tensors.Sum(static t => t.ByteCount), files, weights.Note);
    }

    /// <summary>Updates the type in the configuration, which transformers loads the weights in.</summary>
    private static void Announce(string path, DType? dtype)
    {
        if (dtype is not { } type || !File.Exists(path))
            return;
        var config = ConfigDocument.Read(path);
        var (before, after) = (config.Json, config.Json);
        foreach (var member in ((string[])["torch_dtype", "dtype"]).Where(m => before[m] is JsonValue))
            after[member] = type.Name();
        if (!JsonNode.DeepEquals(before, after))
            AtomicFile.WriteText(path, config.Change(before, after).Text);
    }
}
