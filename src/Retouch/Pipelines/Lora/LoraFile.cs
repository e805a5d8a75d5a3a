using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Io;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.Lora;

/// <summary>
/// Files of low-rank adapters. Written as diffusers' <c>load_lora_weights</c> reads them (<c>transformer.PATH.lora_A.weight</c>,
/// <c>unet.…</c>); read in that layout, in diffusers' older ones (<c>PATH.lora.down.weight</c>, <c>PATH.lora_linear_layer.down.weight</c>,
/// and the attention processors' <c>….processor.to_q_lora.down.weight</c>), in peft's (<c>base_model.model.PATH.lora_A.weight</c>) and in
/// kohya's, where modules have diffusers' names or a U-Net's those of the original code
/// (<c>lora_unet_PATH_WITH_UNDERSCORES.lora_down.weight</c>). Such files may have parts for text encoders, too (<c>text_encoder.…</c>,
/// <c>lora_te_…</c>).
/// </summary>
public static class LoraFile
{
    /// <summary>The name that diffusers looks for in a folder.</summary>
    public const string Name = "pytorch_lora_weights.safetensors";

    // Beside diffusers' own: its older, pickled files, and what peft writes.
    private static readonly string[] Names = [Name, "adapter_model.safetensors", "pytorch_lora_weights.bin", "adapter_model.bin"];

    /// <summary>
    /// The file of adapters at a path: itself, or the one in a folder. Where there is none, the name that it should have.
    /// </summary>
    /// <param name="path">A file or a folder.</param>
    public static string Locate(string path) =>
        Directory.Exists(path)
            ? Array.Find(Array.ConvertAll(Names, n => Path.Combine(path, n)), File.Exists) ?? Path.Combine(path, Name)
            : path;

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

    /// <summary>Compares a file with a network, which needs no memory for that.</summary>
    /// <param name="path">The file, or a folder that holds <see cref="Name"/>.</param>
    /// <param name="target">The network, and which part of the file is meant.</param>
    /// <returns>What the file says of itself that does not agree with its tensors, or decides more than they do; whole sentences.</returns>
    /// <exception cref="InputException">It does not fit: everything that does not is named.</exception>
    public static IReadOnlyList<string> Check(string path, LoraTarget target)
    {
        ArgumentNullException.ThrowIfNull(target);
        using var scope = TensorScope.Enter();
        using var file = TensorFile.Open(Locate(path));
        return LoraParts.Read(file, target).Notes();
    }

    /// <summary>The parts of a file: folders of text encoders, and null for the denoiser's, which a file without keys has too.</summary>
    /// <param name="path">The file, or a folder that holds <see cref="Name"/>.</param>
    /// <exception cref="InputException">It cannot be read.</exception>
    public static IReadOnlyList<string?> PartsOf(string path)
    {
        using var file = TensorFile.Open(Locate(path));
        return [.. file.Names.Select(LoraTarget.EncoderOf).DefaultIfEmpty().Distinct().Order(StringComparer.Ordinal)];
    }
}
