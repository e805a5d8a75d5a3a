using Retouch.Torch;

namespace Retouch.Autoencoders;

/// <summary>
/// A latent in the denoiser's scale: z = scale·(E(x) − shift), float32. Unscaled encoder output is a <see cref="Posterior"/>, so that a
/// missing scale or shift is a compile error.
/// </summary>
/// <param name="Value">[batch, channels, height, width].</param>
public sealed record Latent(Tensor Value);
