using Retouch.Conditioning.Tokenizers;

namespace Retouch.Conditioning.Prompts;

/// <summary>Encoded prompts.</summary>
/// <param name="Condition">Conditioning inputs on the encoders' device, float32, without gradients. They belong to the enclosing
/// scope.</param>
/// <param name="Cut">Truncated prompts.</param>
public sealed record EncodedPrompts(Condition Condition, IReadOnlyList<CutPrompt> Cut);

/// <summary>Combines text encoders as a model family was trained. Does not dispose the encoders.</summary>
public interface IPromptEncoder
{
    /// <summary>
    /// Width of <see cref="Condition.Text"/>: the denoiser's <c>cross_attention_dim</c>, <c>joint_attention_dim</c> or
    /// <c>caption_channels</c>.
    /// </summary>
    int Width { get; }

    /// <summary>Width of <see cref="Condition.Pooled"/>, or null without a pooled vector.</summary>
    int? PooledWidth { get; }

    /// <summary>Whether the denoiser also takes <see cref="Condition.TimeIds"/>, as built by <see cref="MicroConditioning"/>.</summary>
    bool TakesTimeIds { get; }

    /// <summary>Encodes prompts.</summary>
    /// <param name="prompts">Prompts, one per sample; empty for unconditional.</param>
    /// <exception cref="ArgumentException">There are no prompts.</exception>
    EncodedPrompts Encode(IReadOnlyList<string> prompts);
}
