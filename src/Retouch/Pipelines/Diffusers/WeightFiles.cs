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
public sealed class WeightFiles : IWeights
{
    /// <summary>File name of weights in diffusers, without extension.</summary>
    public const string Stem = "diffusion_pytorch_model";

    /// <summary>File name of weights in transformers, without extension.</summary>
    public const string TransformersStem = "model";

    private readonly List<ITensorFile> _files;
    private readonly Dictionary<string, ITensorFile> _byName;

    private WeightFiles(List<ITensorFile> files, Dictionary<string, ITensorFile> byName) => (_files, _byName) = (files, byName);

    /// <inheritdoc/>
    public IEnumerable<string> Names => _byName.Keys;

    /// <summary>Sentence about ignored weight files, or null.</summary>
    public string? Note { get; private init; }

    /// <inheritdoc/>
    public IEnumerable<string> Files => _files.Select(static f => f.FilePath);

    /// <summary>Opens the weights of a folder.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="variant">Variant, such as <c>fp16</c>; null for plain files, or the only variant if there are none.</param>
    /// <param name="stem">File name without extension; <c>model</c> for transformers.</param>
    /// <exception cref="InputException">There are no weights, several variants, or shards that do not match their index.</exception>
    public static WeightFiles Open(string folder, string? variant = null, string stem = Stem)
    {
        var found = WeightChoice.Find(folder, variant, stem);
        if (found.IsIndex)
            return OpenShards(folder, found.Path, found.Note);
        var file = TensorFile.Open(found.Path);
        return new WeightFiles([file], file.Names.ToDictionary(static name => name, _ => file, StringComparer.Ordinal))
        {
            Note = found.Note,
        };
    }

    /// <inheritdoc/>
    public long[] ShapeOf(string name) => FileOf(name).ShapeOf(name);

    /// <inheritdoc/>
    public Tensor Read(string name) => FileOf(name).Read(name);

    /// <inheritdoc/>
    public Tensor ReadOwned(string name) => FileOf(name).ReadOwned(name);

    /// <inheritdoc/>
    public DType DTypeOf(string name) => FileOf(name).DTypeOf(name);

    /// <inheritdoc/>
    public void Dispose() => _files.ForEach(static f => f.Dispose());

    private static WeightFiles OpenShards(string folder, string index, string? note)
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
        var files = new Dictionary<string, ITensorFile>(StringComparer.Ordinal);
        try
        {
            foreach (var name in names)
                files[name] = TensorFile.Open(Path.Combine(folder, name));
            var held = files.ToDictionary(
                static f => f.Key,
                static f => f.Value.Names.ToHashSet(StringComparer.Ordinal),
                StringComparer.Ordinal
            );
            var absent = places.Where(p => !held[p.Value].Contains(p.Key)).Select(static p => $"{p.Key} (in {p.Value})").ToList();
            if (absent.Count > 0)
                throw new InputException(
                    $"'{index}' lists {absent.Count} tensors that do not exist: {string.Join(", ", absent.Take(20))}. "
                        + $"Download the folder again."
                );
        }
        catch (InputException)
        {
            foreach (var file in files.Values)
                file.Dispose();
            throw;
        }

        return new WeightFiles([.. files.Values], places.ToDictionary(static p => p.Key, p => files[p.Value], StringComparer.Ordinal))
        {
            Note = note,
        };
    }

    private ITensorFile FileOf(string name) =>
        _byName.TryGetValue(name, out var file)
            ? file
            : throw new InputException($"'{Path.GetDirectoryName(_files.FirstOrDefault()?.FilePath)}' has no tensor '{name}'.");
}
