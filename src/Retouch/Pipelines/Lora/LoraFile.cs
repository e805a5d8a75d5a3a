using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Io;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.Lora;

/// <summary>
/// Low-rank adapter files. Written in the layout of diffusers' <c>load_lora_weights</c> (<c>transformer.PATH.lora_A.weight</c>,
/// <c>unet.…</c>). Read in that layout, in older diffusers layouts (<c>PATH.lora.down.weight</c>,
/// <c>PATH.lora_linear_layer.down.weight</c>, attention processors' <c>….processor.to_q_lora.down.weight</c>), in peft's
/// (<c>base_model.model.PATH.lora_A.weight</c>) and in kohya's, with module names of diffusers or of the original U-Net code
/// (<c>lora_unet_PATH_WITH_UNDERSCORES.lora_down.weight</c>). Files may include parts for text encoders (<c>text_encoder.…</c>,
/// <c>lora_te_…</c>).
/// </summary>
public static class LoraFile
{
    /// <summary>File name that diffusers expects in a folder.</summary>
    public const string Name = "pytorch_lora_weights.safetensors";

    // Other accepted names: diffusers' older pickles, and peft's.
    private static readonly string[] Names = [Name, "adapter_model.safetensors", "pytorch_lora_weights.bin", "adapter_model.bin"];

    /// <summary>Adapter file at a path: the file itself, or the one in a folder. If none exists, the default name in that folder.</summary>
    /// <param name="path">File or folder.</param>
    public static string Locate(string path) =>
        Directory.Exists(path)
            ? Array.Find(Array.ConvertAll(Names, n => Path.Combine(path, n)), File.Exists) ?? Path.Combine(path, Name)
            : path;

    /// <summary>
    /// Writes adapters. No alpha is stored, which all readers interpret as alpha = rank, a scale of 1; any other scale is multiplied into
    /// B.
    /// </summary>
    /// <param name="path">Output file, replaced atomically.</param>
    /// <param name="adapters">Adapters with values.</param>
    /// <param name="component">Name of the network in its pipeline: <c>unet</c> or <c>transformer</c>.</param>
    /// <param name="tensors">Replacement tensors under the same keys, such as a weight average; null for the adapters' own.</param>
    /// <param name="dtype">Type of the stored weights; null for no conversion.</param>
    /// <exception cref="EnvironmentException">The disk is full or the folder is not writable.</exception>
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

    /// <summary>Loads a file and attaches its adapters to a network, which is frozen.</summary>
    /// <param name="path">File, or folder that contains <see cref="Name"/>.</param>
    /// <param name="network">Allocated parameters of the network.</param>
    /// <param name="device">Device of the adapters.</param>
    /// <param name="dtype">Type of the adapters; null for the stored type.</param>
    /// <exception cref="InputException">A key has an unknown layout or matches no layer of the network, or a part is missing or misshapen.
    /// The message lists all keys.</exception>
    /// <exception cref="InvalidOperationException">The network already has adapters.</exception>
    public static LowRankAdapters Attach(string path, ParameterStore network, Device device, DType? dtype = null) =>
        Attach(path, LoraTarget.Only(network), device, dtype);

    /// <summary>Loads a file's part for a network and attaches its adapters to the network, which is frozen.</summary>
    /// <param name="path">File, or folder that contains <see cref="Name"/>.</param>
    /// <param name="target">Network with allocated parameters, and its part of the file.</param>
    /// <param name="device">Device of the adapters.</param>
    /// <param name="dtype">Type of the adapters; null for the stored type.</param>
    /// <exception cref="InputException">A key of that part has an unknown layout or matches no layer of the network, or a part is missing
    /// or misshapen. The message lists all keys.</exception>
    /// <exception cref="InvalidOperationException">The network already has adapters.</exception>
    public static LowRankAdapters Attach(string path, LoraTarget target, Device device, DType? dtype = null)
    {
        ArgumentNullException.ThrowIfNull(target);
        using var scope = TensorScope.Enter();
        using var file = TensorFile.Open(Locate(path));
        var parts = LoraParts.Read(file, target);
        var adapters = LowRankAdapters.Attach(target.Network, parts.Layers());
        try
        {
            adapters.Parameters.Load(parts.Under(adapters.Parameters), device, dtype, file.FilePath);
            return adapters;
        }
        catch
        {
            adapters.Dispose();
            throw;
        }
    }

    /// <summary>Checks a file against a network, which may be unallocated.</summary>
    /// <param name="path">File, or folder that contains <see cref="Name"/>.</param>
    /// <param name="target">Network, and its part of the file.</param>
    /// <returns>Metadata that contradicts the tensors, or comes from a place that few programs read; whole sentences.</returns>
    /// <exception cref="InputException">The file does not fit; the message lists all problems.</exception>
    public static IReadOnlyList<string> Check(string path, LoraTarget target)
    {
        ArgumentNullException.ThrowIfNull(target);
        using var scope = TensorScope.Enter();
        using var file = TensorFile.Open(Locate(path));
        return LoraParts.Read(file, target).Notes();
    }

    /// <summary>Parts of a file: folders of text encoders, and null for the denoiser. A file without keys counts as a denoiser's.</summary>
    /// <param name="path">File, or folder that contains <see cref="Name"/>.</param>
    /// <exception cref="InputException">The file is unreadable.</exception>
    public static IReadOnlyList<string?> PartsOf(string path)
    {
        using var file = TensorFile.Open(Locate(path));
        return [.. file.Names.Select(LoraTarget.EncoderOf).DefaultIfEmpty().Distinct().Order(StringComparer.Ordinal)];
    }
}
