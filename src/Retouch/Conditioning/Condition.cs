using Retouch.Torch;

namespace Retouch.Conditioning;

/// <summary>What a denoiser is told besides the noisy latent and the time.</summary>
/// <param name="ClassLabels">int64 [batch]; the number of classes stands for "no class" (classifier-free guidance).</param>
public sealed record Condition(Tensor? ClassLabels);
