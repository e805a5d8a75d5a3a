using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// A diffusers folder once more, with weights of another type or in files of another size. No network is built: any component of any
/// library is converted.
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
    private static readonly Dictionary<DType, string> TypeNames = new()
    {
        [DType.Float16] = "float16",
        [DType.BFloat16] = "bfloat16",
        [DType.Float32] = "float32",
    };

    /// <summary>What became of a component.</summary>
    /// <param name="Name">Its folder; empty where the input is a single component.</param>
    /// <param name="Tensors">Tensors written.</param>
    /// <param name="Bytes">What they take.</param>
    /// <param name="Files">Files written.</param>
    /// <param name="Note">What was left aside; null where there was nothing.</param>
    public sealed record Converted(string Name, int Tensors, long Bytes, IReadOnlyList<string> Files, string? Note = null);

    /// <summary>Converts a pipeline or a single component.</summary>
    /// <param name="source">A folder with <c>model_index.json</c> or <c>config.json</c>.</param>
    /// <param name="folder">The folder to write; it appears as a whole or not at all.</param>
    /// <param name="dtype">Type of the stored weights; null keeps theirs.</param>
    /// <param name="maxShardSize">Most bytes of a file; null writes one file a component.</param>
    /// <param name="variant">Which variant of the weights is read; see <see cref="WeightFiles.Open"/>.</param>
    /// <exception cref="InputException">It is no such folder, weights are missing or broken, or one is beyond the range of
    /// float16.</exception>
    public static IReadOnlyList<Converted> Convert(string source, string folder, DType? dtype, long? maxShardSize, string? variant = null)
    {
        AtomicFolder.Recover(source);
        var isPipeline = File.Exists(Path.Combine(source, PipelineLayout.IndexName));
        if (!isPipeline && !File.Exists(Path.Combine(source, ComponentFolder.ConfigName)))
            throw new InputException(
                $"'{source}' holds neither {PipelineLayout.IndexName} nor {ComponentFolder.ConfigName}: it is no diffusers folder."
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
        List<LazyTensor> tensors = [];
        foreach (var key in weights.Names)
        {
            var stored = weights.DTypeOf(key);
            tensors.Add(
                new LazyTensor(
                    key,
                    dtype is { } type && stored.IsFloatingPoint() ? type : stored,
                    weights.ShapeOf(key),
                    () => WeightTypes.Convert(key, weights.Read(key), dtype)
                )
            );
        }

        var files = WeightShards.Write(target, stem, tensors, maxShardSize);
        Announce(Path.Combine(target, ComponentFolder.ConfigName), dtype);
        return new Converted(name, tensors.Count, tensors.Sum(static t => t.ByteCount), files, weights.Note);
    }

    /// <summary>transformers notes the type in the configuration, and loads in it.</summary>
    private static void Announce(string path, DType? dtype)
    {
        if (dtype is not { } type || !File.Exists(path) || !TypeNames.TryGetValue(type, out var name))
            return;
        var config = ConfigDocument.Read(path);
        var (before, after) = (config.Json, config.Json);
        foreach (var member in ((string[])["torch_dtype", "dtype"]).Where(m => before[m] is JsonValue))
            after[member] = name;
        if (!JsonNode.DeepEquals(before, after))
            AtomicFile.WriteText(path, config.Change(before, after).Text);
    }
}
