using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning.Clip;
using Retouch.Conditioning.T5;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Denoisers.Dit;
using Retouch.Denoisers.MmDit;
using Retouch.Denoisers.PixArt;
using Retouch.Denoisers.Sd3;
using Retouch.Denoisers.UNet;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Diffusers;

/// <summary>A supported network class.</summary>
/// <param name="ClassNames">Class names in configurations.</param>
/// <param name="NetworkType">Type in Retouch.</param>
/// <param name="Create">Creates the network from <c>config.json</c> and its path (for messages), without allocating parameters.</param>
/// <param name="Describe">Members of <c>config.json</c> that Retouch knows.</param>
/// <param name="Parameters">Parameters of the network.</param>
public sealed record ComponentKind(
    IReadOnlyList<string> ClassNames,
    Type NetworkType,
    Func<JsonObject, string, IDisposable> Create,
    Func<object, JsonObject> Describe,
    Func<object, ParameterStore> Parameters
)
{
    /// <summary>
    /// Loads the network from a checkpoint (network, source, device, type, origin), for classes that restrict types; null for the default
    /// loader. Keys of other library versions are declared in <see cref="ParameterStore.OtherKeys"/>.
    /// </summary>
    public Action<object, ITensorSource, Device, DType?, string>? Loader { get; init; }

    /// <summary>Name of weight files, without extension.</summary>
    public string WeightStem { get; init; } = WeightFiles.Stem;

    /// <summary>Member of <c>config.json</c> with the number of classes, for networks that always have classes; else null.</summary>
    public string? ClassCountMember { get; init; }

    /// <summary>Distinguishes classes with the same name by other members of <c>config.json</c>; null if the name is sufficient.</summary>
    public Func<JsonObject, bool>? Matches { get; init; }

    /// <summary>Creates a kind, typed.</summary>
    public static ComponentKind Of<T>(
        IReadOnlyList<string> classNames,
        Func<JsonObject, string, T> create,
        Func<T, JsonObject> describe,
        Func<T, ParameterStore> parameters,
        Action<T, ITensorSource, Device, DType?, string>? loader = null
    )
        where T : class, IDisposable =>
        new(classNames, typeof(T), create, network => describe((T)network), network => parameters((T)network))
        {
            Loader = loader is null ? null : (network, source, device, dtype, origin) => loader((T)network, source, device, dtype, origin),
        };

    /// <summary>Loads a network of this kind.</summary>
    /// <exception cref="InputException">Keys do not match; the message lists all of them.</exception>
    public void Load(object network, ITensorSource source, Device device, DType? dtype, string origin)
    {
        if (Loader is not null)
            Loader(network, source, device, dtype, origin);
        else
            Parameters(network).Load(source, device, dtype, origin);
    }
}

/// <summary>Registry of supported network classes.</summary>
public static class ComponentRegistry
{
    /// <summary>All kinds, the last registered last.</summary>
    public static IReadOnlyList<ComponentKind> Kinds => _kinds;

    /// <summary>Registers a network class of another assembly, for this process.</summary>
    /// <exception cref="ArgumentException">A class name is already registered.</exception>
    public static void Register(ComponentKind kind)
    {
        ArgumentNullException.ThrowIfNull(kind);
        var known = _kinds.SelectMany(static k => k.ClassNames).Intersect(kind.ClassNames, StringComparer.Ordinal).ToArray();
        if (known.Length > 0)
            throw new ArgumentException($"{string.Join(", ", known)} is already registered.", nameof(kind));
        _kinds = [.. _kinds, kind];
    }

    private static IReadOnlyList<ComponentKind> _kinds =
    [
        ComponentKind.Of(
            ["AutoencoderKL"],
            static (json, origin) => new AutoencoderKl(AutoencoderKlConfig.FromJson(json, origin)),
            static n => n.Config.ToJson(),
            static n => n.Parameters,
            static (n, source, device, dtype, origin) => n.Load(source, device, dtype, origin)
        ),
        ComponentKind.Of(
            ["AsymmetricAutoencoderKL"],
            static (json, origin) => new AsymmetricAutoencoderKl(AsymmetricAutoencoderKlConfig.FromJson(json, origin)),
            static n => n.Config.ToJson(),
            static n => n.Parameters,
            static (n, source, device, dtype, origin) => n.Load(source, device, dtype, origin)
        ),
        ComponentKind.Of(
            ["AutoencoderTiny"],
            static (json, origin) => new AutoencoderTiny(AutoencoderTinyConfig.FromJson(json, origin)),
            static n => n.Config.ToJson(),
            static n => n.Parameters,
            static (n, source, device, dtype, origin) => n.Load(source, device, dtype, origin)
        ),
        // Published DiT folders use the older, broader class name.
        ComponentKind.Of(
            ["DiTTransformer2DModel", "Transformer2DModel"],
            static (json, origin) => new DiTTransformer2D(DiTConfig.FromJson(json, origin)),
            static n => n.Config.ToJson(),
            static n => n.Parameters
        ) with
        {
            ClassCountMember = "num_embeds_ada_norm",
            Matches = static json => (string?)json["_class_name"] != "Transformer2DModel" || !HasSharedModulation(json),
        },
        // Early PixArt folders do the same.
        ComponentKind.Of(
            ["PixArtTransformer2DModel", "Transformer2DModel"],
            static (json, origin) => new PixArtTransformer2D(PixArtConfig.FromJson(json, origin)),
            static n => n.Config.ToJson(),
            static n => n.Parameters
        ) with
        {
            Matches = static json => (string?)json["_class_name"] != "Transformer2DModel" || HasSharedModulation(json),
        },
        ComponentKind.Of(
            ["SD3Transformer2DModel"],
            static (json, origin) => new Sd3Transformer2D(Sd3Config.FromJson(json, origin)),
            static n => n.Config.ToJson(),
            static n => n.Parameters
        ),
        ComponentKind.Of(
            [MmDitConfig.ClassName],
            static (json, origin) => new MmDitTransformer2D(MmDitConfig.FromJson(json, origin)),
            static n => n.Config.ToJson(),
            static n => n.Parameters
        ) with
        {
            ClassCountMember = "num_classes",
        },
        ComponentKind.Of(
            ["UNet2DConditionModel"],
            static (json, origin) => new UNet2DCondition(UNet2DConditionConfig.FromJson(json, origin)),
            static n => n.Config.ToJson(),
            static n => n.Parameters
        ),
        ComponentKind.Of(
            [ClipTextConfig.PlainClass, ClipTextConfig.ProjectionClass],
            static (json, origin) => new ClipTextModel(ClipTextConfig.FromJson(json, origin)),
            static n => n.Config.ToJson(),
            static n => n.Parameters
        ) with
        {
            WeightStem = WeightFiles.TransformersStem,
        },
        ComponentKind.Of(
            [ClipVisionConfig.ClassName],
            static (json, origin) => new ClipVisionModel(ClipVisionConfig.FromJson(json, origin)),
            static n => n.Config.ToJson(),
            static n => n.Parameters
        ) with
        {
            WeightStem = WeightFiles.TransformersStem,
        },
        ComponentKind.Of(
            [T5Config.ClassName],
            static (json, origin) => new T5Encoder(T5Config.FromJson(json, origin)),
            static n => n.Config.ToJson(),
            static n => n.Parameters,
            static (n, source, device, dtype, origin) => n.Load(source, device, dtype, origin)
        ) with
        {
            WeightStem = WeightFiles.TransformersStem,
        },
    ];

    /// <summary>Kind of a <c>config.json</c>.</summary>
    /// <param name="config">Members of the file.</param>
    /// <param name="origin">Path for messages.</param>
    /// <exception cref="InputException">The class is missing or unknown.</exception>
    public static ComponentKind Find(JsonObject config, string origin)
    {
        var name = ClassNameOf(config, origin);
        return Kinds.FirstOrDefault(k => k.ClassNames.Contains(name, StringComparer.Ordinal) && k.Matches?.Invoke(config) != false)
            ?? throw new InputException(
                $"'{origin}' has the unsupported class {name}. Supported classes: "
                    + $"{string.Join(", ", Kinds.SelectMany(static k => k.ClassNames).Distinct().Order(StringComparer.Ordinal))}."
            );
    }

    /// <summary>
    /// Class name in a <c>config.json</c>: <c>_class_name</c> in diffusers, the first of <c>architectures</c> in transformers.
    /// </summary>
    /// <param name="config">Members of the file.</param>
    /// <param name="origin">Path for messages.</param>
    /// <exception cref="InputException">The class name is missing.</exception>
    public static string ClassNameOf(JsonObject config, string origin)
    {
        ArgumentNullException.ThrowIfNull(config);
        return
            config["_class_name"] is null
            && config["architectures"] is JsonArray { Count: > 0 } classes
            && classes[0] is JsonValue first
            && first.TryGetValue<string>(out var name)
            ? name
            : new JsonMembers(config, origin).Text("_class_name");
    }

    /// <summary>Kind of a network.</summary>
    /// <exception cref="ArgumentException">No kind has this type.</exception>
    public static ComponentKind Of(object network)
    {
        ArgumentNullException.ThrowIfNull(network);
        return Kinds.FirstOrDefault(k => k.NetworkType == network.GetType())
            ?? throw new ArgumentException($"{network.GetType()} is not a registered network class.", nameof(network));
    }

    private static bool HasSharedModulation(JsonObject config) => config["norm_type"]?.ToString() == "ada_norm_single";
}
