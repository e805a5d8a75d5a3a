using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers.Sd3;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.MmDit;

/// <summary>
/// A class-conditional MM-DiT: the transformer of Stable Diffusion 3 (<see cref="Sd3Transformer2D"/>) with the class embedding as both
/// its single context token and its pooled vector. It approximates the network of Berrada et al., "Boosting Latent Diffusion with
/// Perceptual Objectives" (2024), which the paper describes only as an MM-DiT of 28 blocks, width 1536 and 796 million parameters; see
/// docs/denoisers.md for the open details. Keys: SD 3's and <c>class_embedder.weight</c> [classes + 1, class embedding dim].
/// Construction allocates no tensors; initialise or load <see cref="Parameters"/> next.
/// </summary>
public sealed class MmDitTransformer2D : IDenoiser
{
    private readonly Embedding _classes;
    private readonly JointNetwork _network;

    /// <summary>Builds the network without allocating parameters. Initialisation sets gates and output layer to zero.</summary>
    /// <exception cref="InputException">The configuration is inconsistent.</exception>
    public MmDitTransformer2D(MmDitConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate("MM-DiT");
        Config = config;
        _classes = new Embedding(Parameters.Root / "class_embedder", config.NumClasses + 1L, config.ClassEmbeddingDim);
        _network = new JointNetwork(Parameters.Root, config.Shape());
    }

    /// <summary>Network configuration.</summary>
    public MmDitConfig Config { get; }

    /// <inheritdoc/>
    public int LatentChannels => Config.InChannels;

    /// <inheritdoc/>
    public int SampleSize => Config.SampleSize;

    /// <inheritdoc/>
    public int? ClassCount => Config.NumClasses;

    /// <inheritdoc/>
    public int? TextWidth => null;

    /// <inheritdoc/>
    public ParameterStore Parameters { get; } = new();

    /// <inheritdoc/>
    public bool CheckpointActivations { get; set; }

    /// <inheritdoc/>
    public Prediction Predict(Tensor noisy, Tensor time, Condition condition)
    {
        ArgumentNullException.ThrowIfNull(condition);
        var labels = condition.LabelsOf(Config.NumClasses);
        return new Prediction(Forward(noisy, time, labels));
    }

    /// <summary>Network output.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width]; sides divisible by the patch side and within the position
    /// table.</param>
    /// <param name="time">Timesteps [batch], up to 1000; integer or floating.</param>
    /// <param name="labels">Class labels, int64 [batch], from 0 to the number of classes (no class).</param>
    /// <returns>[batch, channels, height, width], in the dtype of the latents.</returns>
    /// <exception cref="InputException">Shapes do not match, or a label is out of range.</exception>
    public Tensor Forward(Tensor noisy, Tensor time, Tensor labels)
    {
        if (labels.Dim != 1 || labels.Shape[0] != noisy.Shape[0])
            throw new InputException($"MM-DiT takes one label per sample ({noisy.Shape[0]}), not [{string.Join(", ", labels.Shape)}].");
        // On an accelerator this check would synchronise with the device; labels from a data source are already in range.
        if (
            labels.Device.Type == DeviceType.Cpu
            && labels.ToArray<long>() is var values
            && Array.Exists(values, v => v < 0 || v > Config.NumClasses)
        )
            throw new InputException($"Labels [{string.Join(", ", values)}] must lie between 0 and {Config.NumClasses} (no class).");
        using var scope = TensorScope.Enter();
        var embedding = _classes.Forward(labels);
        return scope.Keep(_network.Forward(noisy, time, embedding.Unsqueeze(1), embedding, CheckpointActivations));
    }

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();
}
