using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers.Sd3;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.MmDit;

/// <summary>
/// A class-conditional MM-DiT: the transformer of Stable Diffusion 3 (<see cref="Sd3Transformer2D"/>) whose context is one token, the
/// class's embedding, and whose pooled vector is the same embedding. It stands for the network of Berrada et al., "Boosting Latent
/// Diffusion with Perceptual Objectives" (2024), which is said to be an MM-DiT of 28 blocks and width 1536 with 796 million parameters, and
/// no more: see docs/denoisers.md for what that leaves open. Keys: SD 3's and <c>class_embedder.weight</c> [classes + 1, class embedding
/// dim]. Construction allocates nothing: initialise or load <see cref="Parameters"/> next.
/// </summary>
public sealed class MmDitTransformer2D : IDenoiser
{
    private readonly Embedding _classes;
    private readonly JointNetwork _network;

    /// <summary>Builds the network without memory for its parameters. A fresh one starts with zero gates and a zero output layer.</summary>
    /// <exception cref="InputException">Members of the configuration do not fit each other.</exception>
    public MmDitTransformer2D(MmDitConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate("MM-DiT");
        Config = config;
        _classes = new Embedding(Parameters.Root / "class_embedder", config.NumClasses + 1L, config.ClassEmbeddingDim);
        _network = new JointNetwork(Parameters.Root, config.Shape());
    }

    /// <summary>Its shape.</summary>
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
        var labels =
            condition.ClassLabels
            ?? throw new ArgumentException(
                $"This network is class-conditional: give a label for each sample, {Config.NumClasses} for none.",
                nameof(condition)
            );
        return new Prediction(Forward(noisy, time, labels));
    }

    /// <summary>What the network puts out.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width]; sides divisible by the patch, and no longer than the position
    /// table.</param>
    /// <param name="time">[batch], on the scale of 1000; integers or fractions.</param>
    /// <param name="labels">int64 [batch], 0 to the number of classes.</param>
    /// <returns>[batch, channels, height, width], of the latents' type.</returns>
    /// <exception cref="InputException">The shapes or labels do not fit.</exception>
    public Tensor Forward(Tensor noisy, Tensor time, Tensor labels)
    {
        if (labels.Dim != 1 || labels.Shape[0] != noisy.Shape[0])
            throw new InputException($"MM-DiT takes one label a sample ({noisy.Shape[0]}), not [{string.Join(", ", labels.Shape)}].");
        // On an accelerator the check would wait for the device; labels come from the data, which counts its classes.
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
