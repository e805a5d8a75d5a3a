using System.Globalization;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.Diffusers;

/// <summary>Writes weights as one file, or as shards with an index, with the file names of diffusers and transformers.</summary>
public static class WeightShards
{
    /// <summary>Writes weights, one tensor at a time.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="stem">File name without extension; see <see cref="WeightFiles"/>.</param>
    /// <param name="tensors">All tensors, in file order.</param>
    /// <param name="maxSize">Maximum bytes of tensors per file; null for no limit. A larger tensor has its own file.</param>
    /// <returns>The written files.</returns>
    /// <exception cref="EnvironmentException">The disk is full or the folder is not writable.</exception>
    public static IReadOnlyList<string> Write(string folder, string stem, IReadOnlyList<LazyTensor> tensors, long? maxSize)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        var shards = Split(tensors, maxSize ?? long.MaxValue);
        if (shards.Count == 1)
        {
            SafetensorsWriter.WriteLazily(Path.Combine(folder, stem + ".safetensors"), tensors);
            return [stem + ".safetensors"];
        }

        var map = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var files = new List<string>();
        for (var k = 0; k < shards.Count; k++)
        {
            files.Add(NameOf(stem, k, shards.Count));
            SafetensorsWriter.WriteLazily(Path.Combine(folder, files[k]), shards[k]);
            foreach (var tensor in shards[k])
                map[tensor.Name] = files[k];
        }

        var index = new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = tensors.Sum(static t => t.ByteCount) },
            ["weight_map"] = new JsonObject(map.Select(static p => KeyValuePair.Create(p.Key, (JsonNode?)JsonValue.Create(p.Value)))),
        };
        AtomicFile.WriteText(Path.Combine(folder, stem + ".safetensors.index.json"), ConfigDocument.Create(index).Text);
        return files;
    }

    /// <summary>Name of a shard: <c>stem-00001-of-00004.safetensors</c>.</summary>
    /// <param name="stem">Name of the whole file without extension.</param>
    /// <param name="index">Index of the shard, from 0.</param>
    /// <param name="count">Number of shards.</param>
    internal static string NameOf(string stem, int index, int count) =>
        string.Create(CultureInfo.InvariantCulture, $"{stem}-{index + 1:D5}-of-{count:D5}.safetensors");

    private static List<List<LazyTensor>> Split(IReadOnlyList<LazyTensor> tensors, long maxSize)
    {
        var (shards, size) = (new List<List<LazyTensor>> { new() }, 0L);
        foreach (var tensor in tensors)
        {
            if (size > 0 && size + tensor.ByteCount > maxSize)
            {
                shards.Add([]);
                size = 0;
            }

            shards[^1].Add(tensor);
            size += tensor.ByteCount;
        }

        return shards;
    }
}

/// <summary>Type conversion of weights on saving.</summary>
internal static class WeightTypes
{
    /// <summary>All tensors of a source, read and converted when they are written.</summary>
    /// <param name="source">The tensors.</param>
    /// <param name="dtype">Target type; null for no conversion.</param>
    public static List<LazyTensor> Lazily(ITensorSource source, DType? dtype) =>
        [
            .. source.Names.Select(name => new LazyTensor(
                name,
                source.DTypeOf(name).ConvertedTo(dtype),
                source.ShapeOf(name),
                () => Convert(name, source.Read(name), dtype)
            )),
        ];

    /// <summary>Converts floating-point tensors; integers are unchanged.</summary>
    /// <param name="name">Key of the tensor, for messages.</param>
    /// <param name="tensor">The tensor.</param>
    /// <param name="dtype">Target type; null for no conversion.</param>
    /// <exception cref="InputException">A finite weight exceeds the range of float16.</exception>
    public static Tensor Convert(string name, Tensor tensor, DType? dtype)
    {
        var type = tensor.DType.ConvertedTo(dtype);
        if (tensor.DType == type)
            return tensor;
        var converted = tensor.Detach().To(type);
        if (
            type == DType.Float16
            && converted.Abs().Max().Item() is var largest
            && !double.IsFinite(largest)
            && double.IsFinite(tensor.Abs().Max().Item())
        )
            throw new InputException($"'{name}' has weights beyond 65504, which float16 cannot represent. Save as bfloat16 or float32.");
        return converted;
    }
}

/// <summary>Copies folders file by file.</summary>
internal static class FolderCopy
{
    /// <summary>Copies the contents of a folder.</summary>
    /// <param name="from">Source folder.</param>
    /// <param name="target">Target folder; created if missing.</param>
    /// <param name="wanted">Filter on paths relative to the folder; all files by default.</param>
    public static void Copy(string from, string target, Func<string, bool>? wanted = null)
    {
        Directory.CreateDirectory(target);
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            var relative = Path.GetRelativePath(from, file);
            if (wanted is not null && !wanted(relative))
                continue;
            var copy = Path.Combine(target, relative);
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }
}
