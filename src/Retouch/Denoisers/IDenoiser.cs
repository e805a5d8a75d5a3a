using Retouch.Conditioning;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers;

/// <summary>The network to post-train.</summary>
public interface IDenoiser : IDisposable
{
    /// <summary>Channels of the input latents.</summary>
    int LatentChannels { get; }

    /// <summary>Side length in latent pixels of the pretraining resolution; other sizes work if the architecture allows.</summary>
    int SampleSize { get; }

    /// <summary>Number of classes, or null without class conditioning; a label equal to it means "no class".</summary>
    int? ClassCount { get; }

    /// <summary>
    /// Width of the prompt token embeddings (<see cref="Condition.Text"/>), or null without text conditioning.
    /// </summary>
    int? TextWidth { get; }

    /// <summary>All parameters, by checkpoint key.</summary>
    ParameterStore Parameters { get; }

    /// <summary>Whether to recompute block activations in the backward pass instead of storing them.</summary>
    bool CheckpointActivations { get; set; }

    /// <summary>Predicts in the network's own parametrisation. A learned variance is dropped.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width].</param>
    /// <param name="time">Network timesteps, as <see cref="NoiseLevel.Timestep"/>, [batch].</param>
    /// <param name="condition">Conditioning inputs.</param>
    Prediction Predict(Tensor noisy, Tensor time, Condition condition);
}
