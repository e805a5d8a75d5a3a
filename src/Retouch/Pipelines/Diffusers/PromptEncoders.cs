using System.Text.Json.Nodes;
using Retouch.Conditioning.Clip;
using Retouch.Conditioning.Prompts;
using Retouch.Conditioning.T5;
using Retouch.Conditioning.Tokenizers;
using Retouch.Core.Errors;
using Retouch.Pipelines.Lora;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Diffusers;

/// <summary>Text encoders and tokenizers of a pipeline, combined as its family requires. Frozen in training.</summary>
public sealed class PromptEncoders : IDisposable
{
    private const string Sdxl = "StableDiffusionXL";
    private static readonly (string Encoder, string Tokenizer)[] Places =
    [
        ("text_encoder", "tokenizer"),
        ("text_encoder_2", "tokenizer_2"),
        ("text_encoder_3", "tokenizer_3"),
    ];

    private readonly Dictionary<string, Component> _components;

    private PromptEncoders(IPromptEncoder encoder, Dictionary<string, Component> components) =>
        (Encoder, _components) = (encoder, components);

    /// <summary>Maps prompts to conditions of the denoiser.</summary>
    public IPromptEncoder Encoder { get; }

    /// <summary>Folders that prompt encoding depends on; empty for pipelines without prompts.</summary>
    /// <param name="folder">Folder of the pipeline.</param>
    public static IReadOnlyList<string> FoldersOf(string folder) =>
        [
            .. Places
                .SelectMany(static p => (string[])[p.Encoder, p.Tokenizer])
                .Select(name => Path.Combine(folder, name))
                .Where(Directory.Exists),
        ];

    /// <summary>Class of a pipeline, which determines how encoders are combined.</summary>
    /// <param name="folder">Folder of the pipeline.</param>
    /// <exception cref="InputException">The index is missing or has no class.</exception>
    public static string FamilyOf(string folder)
    {
        var path = Path.Combine(folder, PipelineLayout.IndexName);
        return ComponentRegistry.ClassNameOf(ConfigDocument.Read(path).Json, path);
    }

    /// <summary>
    /// Whether the denoiser of a pipeline takes size and crop conditions besides the prompt, as <see cref="IPromptEncoder.TakesTimeIds"/>,
    /// without loading the encoders.
    /// </summary>
    /// <param name="folder">Folder of the pipeline.</param>
    public static bool TakesTimeIds(string folder) => FamilyOf(folder).StartsWith(Sdxl, StringComparison.Ordinal);

    /// <summary>Loads the text encoders of a pipeline.</summary>
    /// <param name="folder">Folder of the pipeline.</param>
    /// <param name="width">Channels of a token embedding of the denoiser.</param>
    /// <param name="device">Device of the weights.</param>
    /// <param name="dtype">Type of the weights; null for the stored type.</param>
    /// <param name="variant">Variant of the weights; see <see cref="WeightFiles.Open"/>.</param>
    /// <param name="layers">Narrow storage of layer weights; null for none.</param>
    /// <exception cref="InputException">The family is unknown, folders are missing or invalid, or they do not fit the denoiser.</exception>
    public static PromptEncoders Load(
        string folder,
        int width,
        Device device,
        DType? dtype = DType.Float32,
        string? variant = null,
        NarrowLayers? layers = null
    )
    {
        var index = ConfigDocument.Read(Path.Combine(folder, PipelineLayout.IndexName)).Json;
        var family = FamilyOf(folder);
        var components = new Dictionary<string, Component>(StringComparer.Ordinal);
        try
        {
            var encoder = Create(family, folder, index, width, components, device, dtype, variant, layers);
            return encoder.Width == width
                ? new PromptEncoders(encoder, components)
                : throw new InputException(
                    $"The text encoders of '{folder}' have {encoder.Width} channels per token, the denoiser takes {width}: they do "
                        + $"not belong together."
                );
        }
        catch
        {
            foreach (var component in components.Values)
                component.Dispose();
            throw;
        }
    }

    /// <summary>Merges adapters into an encoder.</summary>
    /// <exception cref="InputException">The family has no such encoder, or the adapters do not fit it.</exception>
    public void Merge(TextAdapters adapters)
    {
        ArgumentNullException.ThrowIfNull(adapters);
        if (!_components.TryGetValue(adapters.Encoder, out var component))
            throw new InputException($"'{adapters.File}' has adapters for {adapters.Encoder}, which this model does not have.");
        adapters.MergeInto(ComponentRegistry.Of(component.Network).Parameters(component.Network));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var component in _components.Values)
            component.Dispose();
    }

    private static IPromptEncoder Create(
        string family,
        string folder,
        JsonObject index,
        int width,
        Dictionary<string, Component> components,
        Device device,
        DType? dtype,
        string? variant,
        NarrowLayers? layers
    )
    {
        T Read<T>(int place)
            where T : class
        {
            var (encoder, tokenizer) = (Path.Combine(folder, Places[place].Encoder), Path.Combine(folder, Places[place].Tokenizer));
            string[] missing =
            [
                .. ((string[])[encoder, tokenizer]).Where(static f => !Directory.Exists(f)).Select(static f => Path.GetFileName(f) + "/"),
            ];
            if (missing.Length > 0)
                throw new InputException(
                    $"'{folder}' is a {family} and lacks {string.Join(" and ", missing)}: prompts cannot be encoded. Download the "
                        + $"whole model."
                );
            // T5 overflows in float16.
            var component = ComponentFolder.Load(
                encoder,
                device,
                typeof(T) == typeof(T5Encoder) && dtype == DType.Float16 ? DType.Float32 : dtype,
                variant,
                layers
            );
            components.Add(Places[place].Encoder, component);
            return component.Network as T
                ?? throw new InputException($"'{encoder}' is a {component.ClassName}, which a {family} does not support there.");
        }

        ITextTokenizer Tokenizer(int place) => TokenizerFolder.Read(Path.Combine(folder, Places[place].Tokenizer));
        ClipTower Clip(int place) => new(Read<ClipTextModel>(place), Tokenizer(place), Places[place].Encoder);
        T5Tower T5(int place) => new(Read<T5Encoder>(place), Tokenizer(place), Places[place].Encoder);
        if (family.StartsWith(Sdxl, StringComparison.Ordinal))
            return new SdxlPromptEncoder(
                Clip(0),
                Clip(1),
                index["force_zeros_for_empty_prompt"]?.GetValueKind() != System.Text.Json.JsonValueKind.False
            );
        if (family.StartsWith("StableDiffusion3", StringComparison.Ordinal))
            return new Sd3PromptEncoder(Clip(0), Clip(1), Directory.Exists(Path.Combine(folder, Places[2].Encoder)) ? T5(2) : null, width);
        if (family.StartsWith("PixArtSigma", StringComparison.Ordinal))
            return new PixArtPromptEncoder(T5(0), PixArtPromptEncoder.SigmaTokens);
        if (family.StartsWith("PixArt", StringComparison.Ordinal))
            return new PixArtPromptEncoder(T5(0), PixArtPromptEncoder.AlphaTokens);
        if (family.StartsWith("StableDiffusion", StringComparison.Ordinal))
            return new ClipPromptEncoder(Clip(0));
        throw new InputException(
            $"'{folder}' is a {family}; prompts are supported for StableDiffusion, StableDiffusionXL, StableDiffusion3, PixArtAlpha "
                + $"and PixArtSigma pipelines."
        );
    }
}
