using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Denoisers.UNet;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.SingleFile;

/// <summary>What a single file holds.</summary>
public enum SingleFileKind
{
    /// <summary>Stable Diffusion 1.x.</summary>
    StableDiffusion1,

    /// <summary>Stable Diffusion 2.x.</summary>
    StableDiffusion2,

    /// <summary>Stable Diffusion XL, base.</summary>
    StableDiffusionXl,
}

/// <summary>A component of a single file: what it becomes in a diffusers folder.</summary>
/// <param name="Name">Its folder.</param>
/// <param name="Library">The library that it is loaded with.</param>
/// <param name="ClassName">Its class there.</param>
/// <param name="Config">config.json.</param>
/// <param name="Keys">Its keys and where each comes from.</param>
public sealed record SingleFileComponent(
    string Name,
    string Library,
    string ClassName,
    JsonObject Config,
    IReadOnlyList<KeyValuePair<string, TensorOrigin>> Keys
);

/// <summary>
/// A checkpoint in the layout of the original code: denoiser, autoencoder and text encoders in one file. What it is, and the shape of each
/// network, is read off keys and shapes.
/// </summary>
/// <param name="Kind">Which family.</param>
/// <param name="Components">Denoiser, autoencoder and text encoders.</param>
/// <param name="LeftOut">Keys that no component takes: averages, schedules, the last layer of a text encoder that is not used.</param>
/// <param name="PredictsVelocity">Whether the file says so itself; null where it cannot be seen.</param>
public sealed record SingleFileModel(
    SingleFileKind Kind,
    IReadOnlyList<SingleFileComponent> Components,
    IReadOnlyList<string> LeftOut,
    bool? PredictsVelocity
)
{
    /// <summary>Whether its noise schedule ends without any signal, as the file says.</summary>
    public bool ZeroTerminalSnr { get; private init; }

    /// <summary>Two statements of the file about what the denoiser predicts that exclude each other; null where there are none.</summary>
    public string? Contradiction { get; private init; }

    /// <summary>What the file says that does not agree with its tensors, whole sentences.</summary>
    public IReadOnlyList<string> Notes { get; private init; } = [];

    private const string ClipInside = "cond_stage_model.transformer";
    private const string OpenClipInside = "cond_stage_model.model";
    private const string FirstEmbedder = "conditioner.embedders.0.transformer";
    private const string SecondEmbedder = "conditioner.embedders.1.model";
    private const string RefinerEmbedder = "conditioner.embedders.0.model";

    /// <summary>Reads what a file holds.</summary>
    /// <param name="source">The file.</param>
    /// <param name="origin">Its name, for messages.</param>
    /// <exception cref="InputException">It is none of the supported models, or lacks tensors; all that is missing or misshapen is
    /// named.</exception>
    public static SingleFileModel Read(ITensorSource source, string origin)
    {
        ArgumentNullException.ThrowIfNull(source);
        var names = source.Names.ToHashSet(StringComparer.Ordinal);
        var kind = Detect(names, origin);
        var unet = OriginalUNet.Read(source, origin);
        var stated = SingleFileStatement.Read(source, kind, origin);
        // Of the second generation there are both kinds; the others predict ε unless they say so.
        var velocity = stated.PredictsVelocity ?? (kind == SingleFileKind.StableDiffusion2 ? null : false);
        unet = unet with
        {
            // Heads cannot be seen in shapes: the first generation has eight everywhere, later ones have heads of 64 channels.
            AttentionHeadDim =
                kind == SingleFileKind.StableDiffusion1 ? [8] : [.. unet.BlockOutChannels.Select(static c => Math.Max(1, c / 64))],
            SampleSize =
                kind == SingleFileKind.StableDiffusionXl ? 128
                : kind == SingleFileKind.StableDiffusion2 ? 96
                : 64,
            UpcastAttention = kind == SingleFileKind.StableDiffusion2,
        };
        var autoencoder = OriginalAutoencoder.Read(source, kind == SingleFileKind.StableDiffusionXl ? 0.13025 : 0.18215, origin) with
        {
            ForceUpcast = kind == SingleFileKind.StableDiffusionXl,
        };
        List<SingleFileComponent> components = [Denoiser(unet), Autoencoder(autoencoder), .. Encoders(source, kind, origin)];
        Check(source, components, origin);
        var used = components.SelectMany(static c => c.Keys).Select(static k => k.Value.Key).ToHashSet(StringComparer.Ordinal);
        return new SingleFileModel(kind, components, [.. names.Where(n => !used.Contains(n)).Order(StringComparer.Ordinal)], velocity)
        {
            ZeroTerminalSnr = stated.ZeroTerminalSnr,
            Contradiction = stated.Contradiction,
            Notes = stated.Notes,
        };
    }

    private static SingleFileKind Detect(HashSet<string> names, string origin)
    {
        if (!names.Contains($"{OriginalUNet.Prefix}.input_blocks.0.0.weight"))
        {
            throw new InputException(
                $"'{origin}' is no checkpoint in the layout of Stable Diffusion 1.x, 2.x or SDXL: it has no "
                    + $"{OriginalUNet.Prefix}.input_blocks. "
                    + $"Its tensors are called {string.Join(", ", names.Order(StringComparer.Ordinal).Take(3))} …"
            );
        }

        if (names.Contains($"{SecondEmbedder}.token_embedding.weight"))
            return SingleFileKind.StableDiffusionXl;
        if (names.Contains($"{RefinerEmbedder}.token_embedding.weight"))
            throw new InputException($"'{origin}' is the refiner of SDXL, which is not supported; convert the base model.");
        if (names.Contains($"{OpenClipInside}.token_embedding.weight"))
            return SingleFileKind.StableDiffusion2;
        if (
            names.Any(static n => n.StartsWith(ClipInside + ".text_model.", StringComparison.Ordinal))
            || names.Contains(ClipInside + ".embeddings.token_embedding.weight")
        )
            return SingleFileKind.StableDiffusion1;
        throw new InputException(
            $"'{origin}' has a U-Net but no text encoder that is known: none of {ClipInside}.text_model, {OpenClipInside}, "
                + $"{SecondEmbedder}."
        );
    }

    private static SingleFileComponent Denoiser(UNet2DConditionConfig config)
    {
        var keys = OriginalUNet.Keys(config);
        using var network = new UNet2DCondition(config);
        return new(
            "unet",
            "diffusers",
            "UNet2DConditionModel",
            config.ToJson(),
            [.. network.Parameters.All.Select(p => KeyValuePair.Create(p.Name, keys.Find(p.Name)))]
        );
    }

    private static SingleFileComponent Autoencoder(AutoencoderKlConfig config)
    {
        var keys = OriginalAutoencoder.Keys(config);
        using var network = new AutoencoderKl(config);
        return new(
            "vae",
            "diffusers",
            "AutoencoderKL",
            config.ToJson(),
            [.. network.Parameters.All.Select(p => KeyValuePair.Create(p.Name, keys.Find(p.Name)))]
        );
    }

    private static IEnumerable<SingleFileComponent> Encoders(ITensorSource source, SingleFileKind kind, string origin)
    {
        if (kind == SingleFileKind.StableDiffusion2)
            yield return Encoder("text_encoder", OriginalText.OpenClip(source, OpenClipInside, projects: false, origin));
        else
            yield return Encoder(
                "text_encoder",
                OriginalText.Clip(source, kind == SingleFileKind.StableDiffusionXl ? FirstEmbedder : ClipInside, origin)
            );
        if (kind == SingleFileKind.StableDiffusionXl)
            yield return Encoder("text_encoder_2", OriginalText.OpenClip(source, SecondEmbedder, projects: true, origin));

        static SingleFileComponent Encoder(string name, OriginalText.Encoder encoder) =>
            new(name, "transformers", encoder.Config["architectures"]![0]!.GetValue<string>(), encoder.Config, encoder.Keys);
    }

    /// <summary>Every origin must be there, in a shape that the network takes.</summary>
    private static void Check(ITensorSource source, List<SingleFileComponent> components, string origin)
    {
        var names = source.Names.ToHashSet(StringComparer.Ordinal);
        var problems = new List<string>();
        foreach (var component in components)
        {
            using var network =
                component.Library == "diffusers"
                    ? Diffusers.ComponentRegistry.Find(component.Config, origin).Create(component.Config, origin)
                    : null;
            var store = network is null ? null : Diffusers.ComponentRegistry.Of(network).Parameters(network);
            foreach (var (key, from) in component.Keys)
            {
                if (!names.Contains(from.Key))
                    problems.Add($"missing: {from.Key}");
                else if (
                    from.ShapeFrom(source.ShapeOf(from.Key)) is not { } shape
                    || (store?.Find(key)?.Shape is { } wanted && !shape.AsSpan().SequenceEqual(wanted))
                )
                    problems.Add(
                        $"wrong shape: {from.Key} is [{string.Join(", ", source.ShapeOf(from.Key))}], {component.Name} takes "
                            + $"{key} [{string.Join(", ", store?.Find(key)?.Shape ?? [])}]"
                    );
            }
        }

        if (problems.Count > 0)
            throw new InputException(
                $"'{origin}' cannot be converted ({problems.Count} tensors):\n  "
                    + $"{string.Join("\n  ", problems.Take(20))}{(problems.Count > 20 ? "\n  …" : "")}"
            );
    }
}
