using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.Lora;

/// <summary>Tensors of an adapter file by layer of the network, and the scale of each.</summary>
internal sealed class LoraParts
{
    private static readonly (string Suffix, Part Part)[] Suffixes =
    [
        (".lora_A.weight", Part.Down),
        (".lora_B.weight", Part.Up),
        // peft includes the adapter name if its state is saved unchanged.
        (".lora_A.default.weight", Part.Down),
        (".lora_B.default.weight", Part.Up),
        (".lora.down.weight", Part.Down),
        (".lora.up.weight", Part.Up),
        (".lora_down.weight", Part.Down),
        (".lora_up.weight", Part.Up),
        (".lora_linear_layer.down.weight", Part.Down),
        (".lora_linear_layer.up.weight", Part.Up),
        // Layers of attention processors: to_q_lora, to_out_lora.
        ("_lora.down.weight", Part.Down),
        ("_lora.up.weight", Part.Up),
        ("_lora.alpha", Part.Alpha),
        (".alpha", Part.Alpha),
    ];

    // Key suffixes of other kinds of adapters, for messages.
    private static readonly (string Part, string Kind)[] OtherKinds =
    [
        (".hada_", "LoHa"),
        (".lokr_", "LoKr"),
        (".oft_", "OFT"),
        (".dora_scale", "DoRA"),
        (".lora_magnitude_vector", "DoRA"),
        (".diff", "full weights"),
        (".ia3_", "IA³"),
    ];

    private readonly ITensorFile _file;
    private readonly LoraTarget _target;
    private readonly StatedAdapters? _stated;
    private readonly List<KeyValuePair<string, Dictionary<Part, string>>> _layers;

    private LoraParts(
        ITensorFile file,
        LoraTarget target,
        StatedAdapters? stated,
        List<KeyValuePair<string, Dictionary<Part, string>>> layers
    ) => (_file, _target, _stated, _layers) = (file, target, stated, layers);

    private enum Part
    {
        Down,
        Up,
        Alpha,
    }

    /// <summary>Assigns the keys of a file.</summary>
    /// <exception cref="InputException">The file does not fit the network, or its metadata contradicts its tensors; the message lists all
    /// problems.</exception>
    public static LoraParts Read(ITensorFile file, LoraTarget target)
    {
        var stated = StatedAdapters.Read(file, target.Components);
        var network = target.Network;
        var paths = network.All.Where(static p => p.IsAdaptable).Select(static p => p.Name[..^".weight".Length]).ToList();
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var path in paths)
        {
            foreach (var name in target.NamesOf(path))
                names[name] = path;
        }

        var sorted = paths.ToDictionary(static p => p, static _ => new Dictionary<Part, string>(), StringComparer.Ordinal);
        var problems = new List<string>();
        foreach (var key in file.Names.Where(target.Concerns))
        {
            var (suffix, part) = Suffixes.FirstOrDefault(s => key.EndsWith(s.Suffix, StringComparison.Ordinal));
            if (suffix is null)
                problems.Add($"unknown layout{KindOf(key)}: {key}");
            else if (!names.TryGetValue(key[..^suffix.Length], out var path))
                problems.Add($"not a layer of this network: {key}");
            else if (!sorted[path].TryAdd(part, key))
                problems.Add($"duplicate in different layouts: {key}");
        }

        var parts = new LoraParts(
            file,
            target,
            stated,
            [.. paths.Where(p => sorted[p].Count > 0).Select(p => KeyValuePair.Create(p, sorted[p]))]
        );
        problems.AddRange(parts.Problems());
        if (problems.Count == 0 && parts._layers.Count == 0)
            problems.Add("no adapters");
        if (problems.Count == 0)
            return parts;
        throw new InputException(
            $"'{file.FilePath}' does not fit the network ({problems.Count} {(problems.Count == 1 ? "problem" : "problems")}):\n  "
                + $"{string.Join("\n  ", Excerpt.First(problems))}\n{Remedy(file)}"
        );
    }

    /// <summary>Layers with rank and alpha: the alpha tensor, else the metadata, else the rank.</summary>
    public IReadOnlyList<AdaptedLayer> Layers() => [.. _layers.Select(l => new AdaptedLayer(l.Key, Rank(l.Value), Alpha(l.Key, l.Value)))];

    /// <summary>Tensors under the adapters' keys. Linear layers may be stored as 1×1 convolutions and vice versa.</summary>
    public ITensorSource Under(ParameterStore adapters)
    {
        return new RenamedTensors(
            _file,
            _layers.SelectMany(l =>
                new[] { Origin($"{l.Key}.lora_A.weight", l.Value[Part.Down]), Origin($"{l.Key}.lora_B.weight", l.Value[Part.Up]) }
            )
        );

        KeyValuePair<string, TensorOrigin> Origin(string key, string stored) =>
            new(key, new TensorOrigin(stored, adapters.Find(key)!.Shape.Length == 4 ? TensorForm.Convolution : TensorForm.Linear));
    }

    /// <summary>Metadata that contradicts the tensors, or was taken from a place that few programs read.</summary>
    public IReadOnlyList<string> Notes()
    {
        List<string> notes = [];
        if (_stated is null)
            return notes;
        var contradicted = _layers
            .Where(l =>
                l.Value.ContainsKey(Part.Alpha) && Stated(l.Key, l.Value) is { } a && Math.Abs(a - Alpha(l.Key, l.Value)) > 1e-4 * a
            )
            .ToList();
        if (contradicted.Count > 0)
        {
            var (path, parts) = contradicted[0];
            notes.Add(
                $"{_stated.Where} gives alpha {Stated(path, parts):0.####}, but the tensor '{parts[Part.Alpha]}' is "
                    + $"{Alpha(path, parts):0.####} "
                    + $"({contradicted.Count} such layers); the tensors are used."
            );
        }

        var ranks = _layers.Where(l => _stated.RankOf(l.Key) is { } rank && rank != Rank(l.Value)).ToList();
        if (ranks.Count > 0)
        {
            var (path, parts) = ranks[0];
            notes.Add(
                $"{_stated.Where} gives rank {_stated.RankOf(path)}, but {path} has {Rank(parts)} ({ranks.Count} such "
                    + $"layers); the tensors are used."
            );
        }

        if (_stated.IsSingle && _layers.Any(l => !l.Value.ContainsKey(Part.Alpha)))
            notes.Add(
                $"The adapters are scaled by {_stated.Where}: it gives alpha "
                    + $"{Stated(_layers[0].Key, _layers[0].Value):0.####}, and the file has no alpha tensors."
            );
        return notes;
    }

    private static string KindOf(string key) =>
        Array.Find(OtherKinds, k => key.Contains(k.Part, StringComparison.Ordinal)) is { Kind: { } kind } ? $" ({kind})" : "";

    // The base model in the header helps users who have the wrong one.
    private static string Remedy(ITensorFile file)
    {
        var header = (file as SafetensorsFile)?.Metadata ?? new Dictionary<string, string>(StringComparer.Ordinal);
        var model = header.GetValueOrDefault("modelspec.architecture") ?? header.GetValueOrDefault("ss_base_model_version");
        var kind = header.GetValueOrDefault("ss_network_module");
        var says =
            model is null && kind is null
                ? ""
                : $" According to its header it was made for {model ?? "an unnamed model"}{(kind is null ? "" : $", by {kind}")}.";
        return $"Use low-rank adapters for this network.{says}";
    }

    private IEnumerable<string> Problems()
    {
        foreach (var (path, parts) in _layers)
        {
            if (!parts.ContainsKey(Part.Down) || !parts.ContainsKey(Part.Up))
            {
                yield return $"incomplete: {path}";
                continue;
            }

            foreach (var problem in Misshapen(_target.Network.Find($"{path}.weight")!.Shape, parts))
                yield return problem;
            if (!parts.ContainsKey(Part.Alpha) && _stated?.RankOf(path) is { } rank && rank != Rank(parts))
                yield return $"{_stated.Where} gives rank {rank} for {path}, its tensors have {Rank(parts)}: the scale is unknown";
            if (Alpha(path, parts) is var alpha && !(alpha > 0 && double.IsFinite(alpha)))
                yield return $"alpha is {alpha} for {path}; it must be positive";
        }
    }

    private int Rank(Dictionary<Part, string> parts) => checked((int)_file.ShapeOf(parts[Part.Down])[0]);

    private double Alpha(string path, Dictionary<Part, string> parts) =>
        parts.TryGetValue(Part.Alpha, out var alpha) ? _file.Read(alpha).To(DType.Float64).Item() : Stated(path, parts) ?? Rank(parts);

    private double? Stated(string path, Dictionary<Part, string> parts) =>
        _stated?.AlphaFor(path, Rank(parts), _target.Network.Find($"{path}.weight")!.Shape is [_, _, > 1, _]);

    /// <summary>A is [rank, in, …], B is [out, rank]; trailing dimensions of size 1 are ignored.</summary>
    private IEnumerable<string> Misshapen(long[] weight, Dictionary<Part, string> parts)
    {
        var rank = _file.ShapeOf(parts[Part.Down]) is [var first and > 0, ..] ? first : 1;
        long[] inner = weight[1..];
        foreach (
            var (part, wanted) in new (Part, long[])[]
            {
                (Part.Down, [rank, .. inner]),
                (Part.Up, inner.Length == 1 ? [weight[0], rank] : [weight[0], rank, 1, 1]),
            }
        )
        {
            var stored = _file.ShapeOf(parts[part]);
            if (!Trim(stored).AsSpan().SequenceEqual(Trim(wanted)))
                yield return $"wrong shape: {parts[part]} is [{string.Join(", ", stored)}], this network's layer needs "
                    + $"[{string.Join(", ", wanted)}]";
        }
    }

    private static long[] Trim(long[] shape) => shape is [.. var matrix, 1, 1] && matrix.Length == 2 ? matrix : shape;
}
