using Retouch.Denoisers;
using Retouch.Denoisers.UNet;
using Retouch.Pipelines.SingleFile;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Lora;

/// <summary>A network for adapters, the keys of a file that belong to it, and the names of its layers in files.</summary>
public sealed class LoraTarget
{
    // Prefixes of the part in diffusers and kohya files.
    private static readonly (string Prefix, string Encoder)[] Encoders =
    [
        ("text_encoder.", "text_encoder"),
        ("text_encoder_2.", "text_encoder_2"),
        ("text_encoder_3.", "text_encoder_3"),
        ("lora_te_", "text_encoder"),
        ("lora_te1_", "text_encoder"),
        ("lora_te2_", "text_encoder_2"),
        ("lora_te3_", "text_encoder_3"),
    ];

    // Attention projections with different names in attention processors.
    private static readonly Dictionary<string, string> Projections = new(StringComparer.Ordinal)
    {
        ["to_q"] = "to_q",
        ["to_k"] = "to_k",
        ["to_v"] = "to_v",
        ["to_out.0"] = "to_out",
        ["add_k_proj"] = "add_k_proj",
        ["add_v_proj"] = "add_v_proj",
        ["add_q_proj"] = "add_q_proj",
        ["q_proj"] = "to_q",
        ["k_proj"] = "to_k",
        ["v_proj"] = "to_v",
        ["out_proj"] = "to_out",
    };

    private readonly string[] _prefixes;
    private readonly string[] _flatPrefixes;
    private readonly Func<string, string?>? _original;
    private readonly Func<string, bool> _concerns;

    private LoraTarget(
        ParameterStore network,
        string[] prefixes,
        string[] flatPrefixes,
        Func<string, bool> concerns,
        Func<string, string?>? original = null
    )
    {
        (Network, _prefixes, _flatPrefixes, _concerns, _original) = (network, prefixes, flatPrefixes, concerns, original);
    }

    /// <summary>Parameters of the network.</summary>
    public ParameterStore Network { get; }

    /// <summary>Names of the network in pipelines, which are prefixes in file headers: <c>unet</c>, <c>text_encoder_2</c>.</summary>
    internal IReadOnlyList<string> Components { get; private init; } = ["unet", "transformer"];

    /// <summary>For files with adapters for this network only.</summary>
    public static LoraTarget Only(ParameterStore network) => OfDenoiser(network, static _ => true, null);

    /// <summary>Denoiser part of a file. U-Net modules may have the names of the original code, as in kohya's SDXL files.</summary>
    public static LoraTarget Denoiser(IDenoiser network)
    {
        ArgumentNullException.ThrowIfNull(network);
        var keys = network is UNet2DCondition unet ? OriginalUNet.Keys(unet.Config) : null;
        return OfDenoiser(
            network.Parameters,
            static key => EncoderOf(key) is null,
            keys is null
                ? null
                : path =>
                    keys.TryFind(path + ".weight") is { } origin ? origin.Key[(OriginalUNet.Prefix.Length + 1)..^".weight".Length] : null
        );
    }

    /// <summary>Text encoder part of a file.</summary>
    /// <param name="network">Parameters of the text encoder.</param>
    /// <param name="encoder">Folder in the pipeline: <c>text_encoder</c>, <c>text_encoder_2</c> or <c>text_encoder_3</c>.</param>
    public static LoraTarget TextEncoder(ParameterStore network, string encoder)
    {
        string[] prefixes = [.. Encoders.Where(e => e.Encoder == encoder).Select(static e => e.Prefix)];
        return new LoraTarget(
            network,
            [.. prefixes.Where(static p => p.EndsWith('.'))],
            [.. prefixes.Where(static p => p.EndsWith('_'))],
            key => EncoderOf(key) == encoder
        )
        {
            Components = [encoder],
        };
    }

    /// <summary>Folder of the text encoder that a key belongs to; null for the denoiser.</summary>
    public static string? EncoderOf(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return Array.Find(Encoders, e => key.StartsWith(e.Prefix, StringComparison.Ordinal)).Encoder;
    }

    /// <summary>Whether a key belongs to this network.</summary>
    internal bool Concerns(string key) => _concerns(key);

    /// <summary>Names of a layer in files, without suffix.</summary>
    internal IEnumerable<string> NamesOf(string path)
    {
        foreach (var name in Aliases(path))
        {
            foreach (var prefix in _prefixes)
                yield return prefix + name;
            foreach (var prefix in _flatPrefixes)
                yield return prefix + name.Replace('.', '_');
        }

        if (_original?.Invoke(path) is { } original)
        {
            foreach (var prefix in _flatPrefixes)
                yield return prefix + original.Replace('.', '_');
            yield return "diffusion_model." + original;
            yield return "model.diffusion_model." + original;
        }
    }

    /// <summary>The path, its name in text encoders since transformers 5.6, and its names in attention processors.</summary>
    private static IEnumerable<string> Aliases(string path)
    {
        const string Wrapper = "text_model.";
        yield return path;
        if (path.StartsWith(Wrapper, StringComparison.Ordinal))
            yield return path[Wrapper.Length..];
        foreach (var (name, processor) in Projections)
        {
            if (!path.EndsWith("." + name, StringComparison.Ordinal))
                continue;
            var parent = path[..^name.Length];
            yield return $"{parent}processor.{processor}";
            if (processor != name)
                yield return parent + processor;
        }
    }

    private static LoraTarget OfDenoiser(ParameterStore network, Func<string, bool> concerns, Func<string, string?>? original) =>
        new(
            network,
            [
                "",
                "unet.",
                "transformer.",
                "base_model.model.",
                "base_model.model.unet.",
                "base_model.model.transformer.",
                "diffusion_model.",
            ],
            ["lora_unet_", "lora_transformer_", "lycoris_"],
            concerns,
            original
        );
}
