using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Io;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// The weights of a component folder as one source: a single file, or shards under an index; of a variant (<c>fp16</c>) where asked. Files
/// that PyTorch pickled (<c>.bin</c>) are read where there are no safetensors.
/// </summary>
public sealed class WeightFiles : IWeights
{
    /// <summary>Name that diffusers gives weights, without extension.</summary>
    public const string Stem = "diffusion_pytorch_model";

    /// <summary>Name that transformers gives weights, without extension.</summary>
    public const string TransformersStem = "model";

    private readonly List<ITensorFile> _files;
    private readonly Dictionary<string, ITensorFile> _byName;

    private WeightFiles(List<ITensorFile> files, Dictionary<string, ITensorFile> byName) => (_files, _byName) = (files, byName);

    /// <inheritdoc/>
    public IEnumerable<string> Names => _byName.Keys;

    /// <inheritdoc/>
    public IEnumerable<string> Files => _files.Select(static f => f.FilePath);

    /// <summary>Opens the weights of a folder.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="variant">Which variant, <c>fp16</c> for instance; null takes the plain files, or the only variant where there are no
    /// plain ones.</param>
    /// <param name="stem">Name without extension; transformers' models are called <c>model</c>.</param>
    /// <exception cref="InputException">There are none, several variants to choose from, or shards that do not fit their index.</exception>
    public static WeightFiles Open(string folder, string? variant = null, string stem = Stem)
    {
        var (single, index) = Find(folder, variant, stem);
        if (single is null)
            return OpenShards(folder, index!);
        var file = TensorFile.Open(single);
        return new WeightFiles([file], file.Names.ToDictionary(static name => name, _ => file, StringComparer.Ordinal));
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

    private static (string? Single, string? Index) Find(string folder, string? variant, string stem)
    {
        var found = Candidates(folder, variant, stem);
        if (found == default && variant is null)
        {
            var variants = Variants(folder, stem);
            if (variants.Count > 1)
                throw new InputException(
                    $"'{folder}' has weights in the variants {string.Join(", ", variants)} and none without; choose one."
                );
            if (variants.Count == 1)
                found = Candidates(folder, variants[0], stem);
        }

        if (found != default)
            return found;
        var wanted = variant is null ? $"{stem}.safetensors" : $"{stem}.{variant}.safetensors";
        throw new InputException($"'{folder}' has no {wanted} (nor .bin) and no index of shards; it holds {Contents(folder)}.");
    }

    private static (string? Single, string? Index) Candidates(string folder, string? variant, string stem)
    {
        // transformers calls its pickled models otherwise.
        var safe = Candidates(folder, variant, stem, "safetensors");
        return safe != default ? safe : Candidates(folder, variant, stem == TransformersStem ? "pytorch_model" : stem, "bin");
    }

    private static (string? Single, string? Index) Candidates(string folder, string? variant, string stem, string extension)
    {
        // Indices of variants have been named in several ways.
        string[] indices = variant is null
            ? [$"{stem}.{extension}.index.json"]
            :
            [
                $"{stem}.{extension}.index.{variant}.json",
                $"{stem}.{extension}.{variant}.index.json",
                $"{stem}.{variant}.{extension}.index.json",
            ];
        var single = Path.Combine(folder, variant is null ? $"{stem}.{extension}" : $"{stem}.{variant}.{extension}");
        return File.Exists(single)
            ? (single, null)
            : (null, indices.Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists));
    }

    private static List<string> Variants(string folder, string stem) =>
        [.. ((string[])["fp16", "bf16", "fp32", "non_ema"]).Where(v => Candidates(folder, v, stem) != default)];

    private static WeightFiles OpenShards(string folder, string index)
    {
        if (
            ConfigDocument.Read(index).Json["weight_map"] is not JsonObject map
            || map.Any(static p => p.Value is not JsonValue v || !v.TryGetValue<string>(out _))
        )
            throw new InputException($"'{index}' has no weight_map from tensors to files.");
        var places = map.ToDictionary(static p => p.Key, static p => p.Value!.GetValue<string>(), StringComparer.Ordinal);
        var names = places.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList();
        // An index from a stranger may not reach outside its folder.
        var extension = index.Contains(".bin.", StringComparison.Ordinal) ? ".bin" : ".safetensors";
        if (names.Find(n => Path.GetFileName(n) != n || !n.EndsWith(extension, StringComparison.Ordinal)) is { } odd)
            throw new InputException($"'{index}' names the shard '{odd}', which is no {extension} file of its folder.");
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
                    $"'{index}' promises {absent.Count} tensors that are not there: {string.Join(", ", absent.Take(20))}. "
                        + $"Download the folder again."
                );
        }
        catch (InputException)
        {
            foreach (var file in files.Values)
                file.Dispose();
            throw;
        }

        return new WeightFiles([.. files.Values], places.ToDictionary(static p => p.Key, p => files[p.Value], StringComparer.Ordinal));
    }

    private static string Contents(string folder)
    {
        var names = Directory
            .EnumerateFileSystemEntries(folder)
            .Select(static p => Path.GetFileName(p))
            .Order(StringComparer.Ordinal)
            .Take(20)
            .ToList();
        return names.Count == 0 ? "nothing" : string.Join(", ", names);
    }

    private ITensorFile FileOf(string name) =>
        _byName.TryGetValue(name, out var file)
            ? file
            : throw new InputException($"'{Path.GetDirectoryName(_files.FirstOrDefault()?.FilePath)}' has no tensor '{name}'.");
}
