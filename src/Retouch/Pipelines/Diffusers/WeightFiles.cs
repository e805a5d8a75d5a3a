using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Io;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// Weights of a component folder as one source: a single file, or shards with an index; optionally of a variant (<c>fp16</c>).
/// <see cref="WeightChoice"/> selects among several files.
/// </summary>
public sealed class WeightFiles : RenamedTensors, IDisposable
{
    /// <summary>File name of weights in diffusers, without extension.</summary>
    public const string Stem = "diffusion_pytorch_model";

    /// <summary>File name of weights in transformers, without extension.</summary>
    public const string TransformersStem = "model";

    private readonly IReadOnlyList<ITensorFile> _files;

    private WeightFiles(IReadOnlyList<ITensorFile> files, IEnumerable<(string Key, ITensorSource Source, TensorOrigin Origin)> tensors)
        : base(tensors) => _files = files;

    /// <summary>Sentence about ignored weight files, or null.</summary>
    public string? Note { get; private set; }

    /// <summary>Open files.</summary>
    public IEnumerable<string> Files => _files.Select(static f => f.FilePath);

    /// <summary>Opens the weights of a folder.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="variant">Variant, such as <c>fp16</c>; null for plain files, or the only variant if there are none.</param>
    /// <param name="stem">File name without extension; <c>model</c> for transformers.</param>
    /// <exception cref="InputException">There are no weights, several variants, or shards that do not match their index.</exception>
    public static WeightFiles Open(string folder, string? variant = null, string stem = Stem)
    {
        var found = WeightChoice.Find(folder, variant, stem);
        var weights = found.IsIndex
            ? OpenShards(folder, found.Path)
            : OfFiles([found.Path], static files => files[0].Names.Select(name => (name, (ITensorSource)files[0], new TensorOrigin(name))));
        weights.Note = found.Note;
        return weights;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in _files)
            file.Dispose();
    }

    /// <summary>Opens files as one source.</summary>
    /// <param name="paths">The files.</param>
    /// <param name="tensors">Keys of the source and their origins in the opened files, which are in the given order.</param>
    /// <exception cref="InputException">A file is invalid.</exception>
    internal static WeightFiles OfFiles(
        IReadOnlyList<string> paths,
        Func<IReadOnlyList<ITensorFile>, IEnumerable<(string Key, ITensorSource Source, TensorOrigin Origin)>> tensors
    )
    {
        List<ITensorFile> files = [];
        try
        {
            files.AddRange(paths.Select(TensorFile.Open));
            return new WeightFiles(files, tensors(files));
        }
        catch
        {
            files.ForEach(static f => f.Dispose());
            throw;
        }
    }

    private static WeightFiles OpenShards(string folder, string index)
    {
        if (
            ConfigDocument.Read(index).Json["weight_map"] is not JsonObject map
            || map.Any(static p => p.Value is not JsonValue v || !v.TryGetValue<string>(out _))
        )
            throw new InputException($"'{index}' has no weight_map from tensors to files.");
        var places = map.ToDictionary(static p => p.Key, static p => p.Value!.GetValue<string>(), StringComparer.Ordinal);
        var names = places.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList();
        // An untrusted index must not reference files outside its folder.
        var extension = index.Contains(".bin.", StringComparison.Ordinal) ? ".bin" : ".safetensors";
        if (names.Find(n => Path.GetFileName(n) != n || !n.EndsWith(extension, StringComparison.Ordinal)) is { } odd)
            throw new InputException($"'{index}' has the shard '{odd}', which is not a {extension} file of its folder.");
        var missing = names.Where(n => !File.Exists(Path.Combine(folder, n))).ToList();
        if (missing.Count > 0)
            throw new InputException(
                $"'{folder}' lacks {missing.Count} of {names.Count} shards: {string.Join(", ", missing)}. Download them again."
            );
        var weights = OfFiles(
            [.. names.Select(n => Path.Combine(folder, n))],
            files => places.Select(p => (p.Key, (ITensorSource)files[names.IndexOf(p.Value)], new TensorOrigin(p.Key)))
        );
        if (weights.Missing.Count == 0)
            return weights;
        weights.Dispose();
        throw new InputException(
            $"'{index}' lists {weights.Missing.Count} tensors that do not exist: "
                + $"{string.Join(", ", weights.Missing.Take(20).Select(key => $"{key} (in {places[key]})"))}. Download the folder again."
        );
    }
}
