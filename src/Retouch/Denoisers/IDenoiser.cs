using Retouch.Conditioning;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers;

/// <summary>The network that is post-trained.</summary>
public interface IDenoiser : IDisposable
{
    /// <summary>Channels of the latents it takes.</summary>
    int LatentChannels { get; }

    /// <summary>Side of the latents that it was made for, in latent pixels; others work where the architecture allows.</summary>
    int SampleSize { get; }

    /// <summary>Number of classes, or null when it takes none; a label equal to it means "no class".</summary>
    int? ClassCount { get; }

    /// <summary>
    /// Channels of the prompt's token embeddings that it takes (<see cref="Condition.Text"/>), or null when it takes no prompt.
    /// </summary>
    int? TextWidth { get; }

    /// <summary>All tensors, by checkpoint key.</summary>
    ParameterStore Parameters { get; }

    /// <summary>Recompute blocks in the backward pass instead of keeping their intermediates.</summary>
    bool CheckpointActivations { get; set; }

    /// <summary>Predicts in its own parametrisation. A learned variance, where the network has one, is dropped here.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width].</param>
    /// <param name="time">As <see cref="NoiseLevel.Timestep"/>, [batch].</param>
    /// <param name="condition">What it is told besides.</param>
    Prediction Predict(Tensor noisy, Tensor time, Condition condition);
}
