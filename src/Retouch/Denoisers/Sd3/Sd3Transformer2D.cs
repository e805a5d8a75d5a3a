using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Sd3;

/// <summary>
/// The text-conditional transformer of Stable Diffusion 3 and 3.5 (MM-DiT; Esser et al., "Scaling Rectified Flow Transformers for
/// High-Resolution Image Synthesis", 2024) with the parameters of diffusers' <c>SD3Transformer2DModel</c>. Construction allocates no
/// tensors; initialise or load <see cref="Parameters"/> next.
/// </summary>
public sealed class Sd3Transformer2D : IDenoiser
{
    private readonly JointNetwork _network;

    /// <summary>Builds the network without allocating parameters. Initialisation sets gates and output layer to zero.</summary>
    /// <exception cref="InputException">The configuration is inconsistent.</exception>
    public Sd3Transformer2D(Sd3Config config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate("SD3");
        Config = config;
        _network = new JointNetwork(Parameters.Root, config.Shape());
    }

    /// <summary>Network configuration.</summary>
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
    /// As <see cref="IDenoiser.Predict"/>, from prompt embeddings (<see cref="Condition.Text"/>) and the pooled prompt vector
    /// (<see cref="Condition.Pooled"/>). Masks are ignored: padding is attended to, as in pretraining.
    /// </summary>
    /// <inheritdoc/>
    public Prediction Predict(Tensor noisy, Tensor time, Condition condition)
    {
        ArgumentNullException.ThrowIfNull(condition);
        if (condition.Text is null || condition.Pooled is null)
            throw new ArgumentException(
                "This network is text-conditional: give the prompt embeddings and the pooled prompt vector.",
                nameof(condition)
            );
        return new Prediction(Forward(noisy, time, condition.Text, condition.Pooled));
    }

    /// <summary>Network output.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width]; sides divisible by the patch side and within the position
    /// table.</param>
    /// <param name="time">Timesteps [batch], in the units of pretraining (1000·t); integer or floating.</param>
    /// <param name="text">Prompt embeddings [batch, words, joint attention dim].</param>
    /// <param name="pooled">Pooled prompt vector [batch, pooled projection dim].</param>
    /// <returns>[batch, channels, height, width], in the dtype of the latents.</returns>
    /// <exception cref="InputException">Shapes do not match.</exception>
    public Tensor Forward(Tensor noisy, Tensor time, Tensor text, Tensor pooled) =>
        _network.Forward(noisy, time, text, pooled, CheckpointActivations);

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();
}
