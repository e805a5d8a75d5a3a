using Retouch.Conditioning.Tokenizers;

namespace Retouch.Conditioning.Prompts;

/// <summary>Prompts as a denoiser is told of them.</summary>
/// <param name="Condition">On the encoders' device, float32, without gradients. It belongs to the scope that was open.</param>
/// <param name="Cut">The prompts that an encoder could not take whole, with what was cut off.</param>
public sealed record EncodedPrompts(Condition Condition, IReadOnlyList<CutPrompt> Cut);

/// <summary>Puts text encoders together the way a family of models was trained with. The encoders stay whoever's they are.</summary>
public interface IPromptEncoder
{
    /// <summary>
    /// Width of <see cref="Condition.Text"/>: the denoiser's <c>cross_attention_dim</c>, <c>joint_attention_dim</c> or
    /// <c>caption_channels</c>.
    /// </summary>
    int Width { get; }

    /// <summary>Width of <see cref="Condition.Pooled"/>, or null where there is none.</summary>
    int? PooledWidth { get; }

    /// <summary>Whether the denoiser also wants <see cref="Condition.TimeIds"/>, which <see cref="MicroConditioning"/> makes.</summary>
    bool TakesTimeIds { get; }

    /// <summary>Encodes prompts.</summary>
    /// <param name="prompts">One for each sample; empty for "without a prompt".</param>
    /// <exception cref="ArgumentException">There are none.</exception>
    EncodedPrompts Encode(IReadOnlyList<string> prompts);
}
