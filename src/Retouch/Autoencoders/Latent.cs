using Retouch.Torch;

namespace Retouch.Autoencoders;

/// <summary>
/// A latent as the denoiser sees it: z = scale·(E(x) − shift), float32. What the encoder puts out is a <see cref="Posterior"/>, so that a
/// forgotten scale or shift does not compile.
/// </summary>
/// <param name="Value">[batch, channels, height, width].</param>
public sealed record Latent(Tensor Value);
