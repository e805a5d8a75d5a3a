using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Sd3;

/// <summary>
/// The text-conditional transformer of Stable Diffusion 3 and 3.5 (MM-DiT; Esser et al., "Scaling Rectified Flow Transformers for
/// High-Resolution Image Synthesis", 2024) with the parameters of diffusers' <c>SD3Transformer2DModel</c>. Construction allocates nothing:
/// initialise or load <see cref="Parameters"/> next.
/// </summary>
public sealed class Sd3Transformer2D : IDenoiser
{
    private readonly JointNetwork _network;

    /// <summary>Builds the network without memory for its parameters. A fresh one starts with zero gates and a zero output layer.</summary>
    /// <exception cref="InputException">Members of the configuration do not fit each other.</exception>
    public Sd3Transformer2D(Sd3Config config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate("SD3");
        Config = config;
        _network = new JointNetwork(Parameters.Root, config.Shape());
    }

    /// <summary>Its shape.</summary>
    public Sd3Config Config { get; }

    /// <inheritdoc/>
    public int LatentChannels => Config.InChannels;

    /// <inheritdoc/>
    public int SampleSize => Config.SampleSize;

    /// <inheritdoc/>
    public int? ClassCount => null;

    /// <inheritdoc/>
    public int? TextWidth => Config.JointAttentionDim;

    /// <inheritdoc/>
    public ParameterStore Parameters { get; } = new();

    /// <inheritdoc/>
    public bool CheckpointActivations { get; set; }

    /// <summary>
    /// As <see cref="IDenoiser.Predict"/>, from the prompt's embeddings (<see cref="Condition.Text"/>) and its one vector
    /// (<see cref="Condition.Pooled"/>). It takes no mask: padding is attended to, as in pretraining.
    /// </summary>
    /// <inheritdoc/>
    public Prediction Predict(Tensor noisy, Tensor time, Condition condition)
    {
        ArgumentNullException.ThrowIfNull(condition);
        if (condition.Text is null || condition.Pooled is null)
            throw new ArgumentException(
                "This network is text-conditional: give the prompt's embeddings and its pooled vector.",
                nameof(condition)
            );
        return new Prediction(Forward(noisy, time, condition.Text, condition.Pooled));
    }

    /// <summary>What the network puts out.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width]; sides divisible by the patch, and no longer than the position
    /// table.</param>
    /// <param name="time">[batch], as pretraining counted it (1000·t); integers or fractions.</param>
    /// <param name="text">Embeddings of the prompt, [batch, words, joint attention dim].</param>
    /// <param name="pooled">[batch, pooled projection dim].</param>
    /// <returns>[batch, channels, height, width], of the latents' type.</returns>
    /// <exception cref="InputException">The shapes do not fit.</exception>
    public Tensor Forward(Tensor noisy, Tensor time, Tensor text, Tensor pooled) =>
        _network.Forward(noisy, time, text, pooled, CheckpointActivations);

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();
}
