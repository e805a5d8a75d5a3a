using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.Lora;

/// <summary>
/// Files of low-rank adapters. Written as diffusers' <c>load_lora_weights</c> reads them (<c>transformer.PATH.lora_A.weight</c>,
/// <c>unet.…</c>); read in that layout, in diffusers' older ones (<c>PATH.lora.down.weight</c>, <c>PATH.lora_linear_layer.down.weight</c>),
/// and in kohya's, where modules have diffusers' names or a U-Net's those of the original code
/// (<c>lora_unet_PATH_WITH_UNDERSCORES.lora_down.weight</c>). Such files may have parts for text encoders, too (<c>text_encoder.…</c>,
/// <c>lora_te_…</c>).
/// </summary>
public static class LoraFile
{
    /// <summary>The name that diffusers looks for in a folder.</summary>
    public const string Name = "pytorch_lora_weights.safetensors";

    private static readonly (string Suffix, Part Part)[] Suffixes =
    [
        (".lora_A.weight", Part.Down),
        (".lora_B.weight", Part.Up),
        (".lora.down.weight", Part.Down),
        (".lora.up.weight", Part.Up),
        (".lora_down.weight", Part.Down),
        (".lora_up.weight", Part.Up),
        (".lora_linear_layer.down.weight", Part.Down),
        (".lora_linear_layer.up.weight", Part.Up),
        (".alpha", Part.Alpha),
    ];

    private enum Part
    {
        Down,
        Up,
        Alpha,
    }

    /// <summary>
    /// Writes adapters. No alpha is stored, which every reader takes for alpha = rank, a scale of 1: another scale is multiplied into B.
    /// </summary>
    /// <param name="path">The file; replaced as a whole or not at all.</param>
    /// <param name="adapters">The adapters, with values.</param>
    /// <param name="component">The network's name in its pipeline: <c>unet</c> or <c>transformer</c>.</param>
    /// <param name="tensors">Stand in for the adapters' own under the same keys: an average of the weights.</param>
    /// <param name="dtype">Type of the stored weights; null keeps theirs.</param>
    /// <exception cref="EnvironmentException">The disk is full or the folder cannot be written to.</exception>
    public static void Write(
        string path,
        LowRankAdapters adapters,
        string component,
        IEnumerable<KeyValuePair<string, Tensor>>? tensors = null,
        DType? dtype = null
    )
    {
        ArgumentNullException.ThrowIfNull(adapters);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var scales = adapters.Layers.ToDictionary(static l => $"{l.Path}.lora_B.weight", static l => l.Scale, StringComparer.Ordinal);
        var written = (tensors ?? adapters.Parameters.Tensors()).Select(t =>
        {
            var value = scales.TryGetValue(t.Key, out var scale) && scale != 1 ? t.Value * scale : t.Value;
            return KeyValuePair.Create($"{component}.{t.Key}", value.To(dtype ?? value.DType));
        });
        SafetensorsWriter.Write(path, [.. written]);
    }

    /// <summary>Reads a file and attaches its adapters to a network, which is frozen.</summary>
    /// <param name="path">The file, or a folder that holds <see cref="Name"/>.</param>
    /// <param name="network">The network's own parameters, with memory.</param>
    /// <param name="device">Where the adapters go.</param>
    /// <param name="dtype">Their type; null keeps the stored one.</param>
    /// <exception cref="InputException">A key is in no layout that is read, or names no layer of this network; a part is missing or has
    /// another shape. All keys are named at once.</exception>
    /// <exception cref="InvalidOperationException">The network has adapters already.</exception>
    public static LowRankAdapters Attach(string path, ParameterStore network, Device device, DType? dtype = null) =>
        Attach(path, LoraTarget.Only(network), device, dtype);

    /// <summary>Reads a file's part for a network and attaches its adapters to that, which is frozen.</summary>
    /// <param name="path">The file, or a folder that holds <see cref="Name"/>.</param>
    /// <param name="target">The network, with memory, and which part is meant.</param>
    /// <param name="device">Where the adapters go.</param>
    /// <param name="dtype">Their type; null keeps the stored one.</param>
    /// <exception cref="InputException">A key of that part is in no layout that is read, or names no layer of this network; a part is
    /// missing or has another shape. All keys are named at once.</exception>
    /// <exception cref="InvalidOperationException">The network has adapters already.</exception>
    public static LowRankAdapters Attach(string path, LoraTarget target, Device device, DType? dtype = null)
    {
        ArgumentNullException.ThrowIfNull(target);
        using var scope = TensorScope.Enter();
        using var file = SafetensorsFile.Open(Directory.Exists(path) ? Path.Combine(path, Name) : path);
        var found = Sort(file, target);
        var layers = found
            .Select(l => new AdaptedLayer(
                l.Key,
                Rank(l.Value),
                l.Value.TryGetValue(Part.Alpha, out var alpha) ? file.Read(alpha).To(DType.Float64).Item() : Rank(l.Value)
            ))
            .ToList();
        var adapters = LowRankAdapters.Attach(target.Network, layers);
        try
        {
            adapters.Parameters.Load(new Renamed(file, adapters.Parameters, found), device, dtype, file.FilePath);
            return adapters;
        }
        catch
        {
            adapters.Dispose();
            throw;
        }

        int Rank(Dictionary<Part, string> parts) => checked((int)file.ShapeOf(parts[Part.Down])[0]);
    }

    /// <summary>Compares a file with a network, which needs no memory for that.</summary>
    /// <param name="path">The file, or a folder that holds <see cref="Name"/>.</param>
    /// <param name="target">The network, and which part of the file is meant.</param>
    /// <exception cref="InputException">It does not fit: everything that does not is named.</exception>
    public static void Check(string path, LoraTarget target)
    {
        ArgumentNullException.ThrowIfNull(target);
        using var file = SafetensorsFile.Open(Directory.Exists(path) ? Path.Combine(path, Name) : path);
        Sort(file, target);
    }

    /// <summary>The parts of a file: folders of text encoders, and null for the denoiser's, which a file without keys has too.</summary>
    /// <param name="path">The file, or a folder that holds <see cref="Name"/>.</param>
    /// <exception cref="InputException">It cannot be read.</exception>
    public static IReadOnlyList<string?> PartsOf(string path)
    {
        using var file = SafetensorsFile.Open(Directory.Exists(path) ? Path.Combine(path, Name) : path);
        return [.. file.Names.Select(LoraTarget.EncoderOf).DefaultIfEmpty().Distinct().Order(StringComparer.Ordinal)];
    }

    /// <summary>The file's keys by layer, in the network's order.</summary>
    private static List<KeyValuePair<string, Dictionary<Part, string>>> Sort(SafetensorsFile file, LoraTarget target)
    {
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
                problems.Add($"of no layout that is read: {key}");
            else if (!names.TryGetValue(key[..^suffix.Length], out var path))
                problems.Add($"no layer of this network: {key}");
            else if (!sorted[path].TryAdd(part, key))
                problems.Add($"twice, in different layouts: {key}");
        }

        var layers = paths.Where(p => sorted[p].Count > 0).Select(p => KeyValuePair.Create(p, sorted[p])).ToList();
        problems.AddRange(
            layers
                .Where(static l => !l.Value.ContainsKey(Part.Down) || !l.Value.ContainsKey(Part.Up))
                .Select(static l => $"only a part: {l.Key}")
        );
        foreach (var (path, parts) in layers.Where(static l => l.Value.ContainsKey(Part.Down) && l.Value.ContainsKey(Part.Up)))
            problems.AddRange(Misshapen(file, network.Find($"{path}.weight")!.Shape, parts));
        if (problems.Count == 0 && layers.Count == 0)
            problems.Add("no adapter at all");
        if (problems.Count == 0)
            return layers;
        const int Shown = 20;
        var more = problems.Count > Shown ? $"\n  … and {problems.Count - Shown} more" : "";
        throw new InputException(
            $"'{file.FilePath}' does not fit the network ({problems.Count} {(problems.Count == 1 ? "problem" : "problems")}):\n  "
                + $"{string.Join("\n  ", problems.Take(Shown))}{more}\nUse adapters of this very network alone, with diffusers' names "
                + $"of its modules."
        );
    }

    /// <summary>A is [rank, in, …], B is [out, rank]; ones at the end of a shape do not count.</summary>
    private static IEnumerable<string> Misshapen(SafetensorsFile file, long[] weight, Dictionary<Part, string> parts)
    {
        var rank = file.ShapeOf(parts[Part.Down]) is [var first and > 0, ..] ? first : 1;
        long[] inner = weight[1..];
        foreach (
            var (part, wanted) in new (Part, long[])[]
            {
                (Part.Down, [rank, .. inner]),
                (Part.Up, inner.Length == 1 ? [weight[0], rank] : [weight[0], rank, 1, 1]),
            }
        )
        {
            var stored = file.ShapeOf(parts[part]);
            if (!Trim(stored).AsSpan().SequenceEqual(Trim(wanted)))
                yield return $"wrong shape: {parts[part]} is [{string.Join(", ", stored)}], beside this network's layer it is "
                    + $"[{string.Join(", ", wanted)}]";
        }
    }

    private static long[] Trim(long[] shape) => shape is [.. var matrix, 1, 1] && matrix.Length == 2 ? matrix : shape;

    /// <summary>A file under the adapters' own keys. Linear layers may be stored as 1×1 convolutions, and the other way round.</summary>
    private sealed class Renamed : ITensorSource
    {
        private readonly SafetensorsFile _file;
        private readonly ParameterStore _adapters;
        private readonly Dictionary<string, string> _keys = new(StringComparer.Ordinal);

        public Renamed(SafetensorsFile file, ParameterStore adapters, List<KeyValuePair<string, Dictionary<Part, string>>> layers)
        {
            (_file, _adapters) = (file, adapters);
            foreach (var (path, parts) in layers)
                (_keys[$"{path}.lora_A.weight"], _keys[$"{path}.lora_B.weight"]) = (parts[Part.Down], parts[Part.Up]);
        }

        public IEnumerable<string> Names => _keys.Keys;

        public long[] ShapeOf(string name)
        {
            var (stored, wanted) = (_file.ShapeOf(_keys[name]), _adapters.Find(name)!.Shape);
            return Trim(stored).AsSpan().SequenceEqual(Trim(wanted)) ? wanted : stored;
        }

        public Tensor Read(string name) => _file.Read(_keys[name]).Reshape(ShapeOf(name));

        public Tensor ReadOwned(string name) => _file.ReadOwned(_keys[name]).Reshape(ShapeOf(name));
    }
}
