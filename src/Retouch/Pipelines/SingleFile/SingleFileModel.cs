using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Denoisers.UNet;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.SingleFile;

/// <summary>Model family of a single file.</summary>
public enum SingleFileKind
{
    /// <summary>Stable Diffusion 1.x.</summary>
    StableDiffusion1,

    /// <summary>Stable Diffusion 2.x.</summary>
    StableDiffusion2,

    /// <summary>Stable Diffusion XL, base.</summary>
    StableDiffusionXl,
}

/// <summary>A component of a single file and its diffusers form.</summary>
/// <param name="Name">Folder of the component.</param>
/// <param name="Library">Library that loads it.</param>
/// <param name="ClassName">Class in that library.</param>
/// <param name="Config">config.json.</param>
/// <param name="Keys">Keys and their origins.</param>
public sealed record SingleFileComponent(
    string Name,
    string Library,
    string ClassName,
    JsonObject Config,
    IReadOnlyList<KeyValuePair<string, TensorOrigin>> Keys
);

/// <summary>
/// A checkpoint in the layout of the original code: denoiser, autoencoder and text encoders in one file. Family and network configurations
/// are derived from keys and shapes.
/// </summary>
/// <param name="Kind">Model family.</param>
/// <param name="Components">Denoiser, autoencoder and text encoders.</param>
/// <param name="LeftOut">Keys that belong to no component: weight averages, schedules, an unused last layer of a text encoder.</param>
/// <param name="PredictsVelocity">Prediction type according to the file; null if unknown.</param>
public sealed record SingleFileModel(
    SingleFileKind Kind,
    IReadOnlyList<SingleFileComponent> Components,
    IReadOnlyList<string> LeftOut,
    bool? PredictsVelocity
)
{
    /// <summary>Whether the noise schedule has zero terminal SNR, according to the file.</summary>
    public bool ZeroTerminalSnr { get; private init; }

    /// <summary>Contradictory statements of the file about the prediction type, or null.</summary>
    public string? Contradiction { get; private init; }

    /// <summary>Metadata that contradicts the tensors; whole sentences.</summary>
    public IReadOnlyList<string> Notes { get; private init; } = [];

    private const string ClipInside = "cond_stage_model.transformer";
    private const string OpenClipInside = "cond_stage_model.model";
    private const string FirstEmbedder = "conditioner.embedders.0.transformer";
    private const string SecondEmbedder = "conditioner.embedders.1.model";
    private const string RefinerEmbedder = "conditioner.embedders.0.model";

    /// <summary>Identifies the contents of a file.</summary>
    /// <param name="source">The file.</param>
    /// <param name="origin">File name for messages.</param>
    /// <exception cref="InputException">The file is not a supported model, or tensors are missing or misshapen; the message lists all of
    /// them.</exception>
    public static SingleFileModel Read(ITensorSource source, string origin)
    {
        ArgumentNullException.ThrowIfNull(source);
        var names = source.Names.ToHashSet(StringComparer.Ordinal);
        var kind = Detect(names, origin);
        var unet = OriginalUNet.Read(source, origin);
        var stated = SingleFileStatement.Read(source, kind, origin);
        // Stable Diffusion 2 exists with both prediction types; the others use epsilon by default.
        var velocity = stated.PredictsVelocity ?? (kind == SingleFileKind.StableDiffusion2 ? null : false);
        unet = unet with
        {
            // The number of heads is not visible in shapes: SD 1 has eight heads everywhere, later models have heads of 64 channels.
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
        var tensors = new RenamedTensors(
            source,
            components.SelectMany(static c => c.Keys.Select(k => KeyValuePair.Create($"{c.Name}/{k.Key}", k.Value)))
        );
        Check(source, components, tensors.Missing, origin);
        return new SingleFileModel(kind, components, [.. tensors.LeftOver], velocity)
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
                $"'{origin}' is not a checkpoint in the layout of Stable Diffusion 1.x, 2.x or SDXL: it has no "
                    + $"{OriginalUNet.Prefix}.input_blocks. "
                    + $"Its tensors are named {string.Join(", ", names.Order(StringComparer.Ordinal).Take(3))} …"
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
            $"'{origin}' has a U-Net but no supported text encoder: none of {ClipInside}.text_model, {OpenClipInside}, "
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

    /// <summary>Checks that all origins exist in a shape that the network accepts.</summary>
    private static void Check(ITensorSource source, List<SingleFileComponent> components, IReadOnlyList<string> missing, string origin)
    {
        var problems = missing.Select(static key => $"missing: {key}").ToList();
        foreach (var component in components)
        {
            using var network =
                component.Library == "diffusers"
                    ? Diffusers.ComponentRegistry.Find(component.Config, origin).Create(component.Config, origin)
                    : null;
            var store = network is null ? null : Diffusers.ComponentRegistry.Of(network).Parameters(network);
            foreach (var (key, from) in component.Keys.Where(k => !missing.Contains(k.Value.Key)))
            {
                if (
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
                $"'{origin}' cannot be converted ({problems.Count} tensors):\n  " + string.Join("\n  ", Excerpt.First(problems))
            );
    }
}
