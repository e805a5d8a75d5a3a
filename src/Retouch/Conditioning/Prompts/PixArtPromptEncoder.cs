using Retouch.Conditioning.Tokenizers;
using Retouch.Torch;

namespace Retouch.Conditioning.Prompts;

/// <summary>
/// PixArt prompt encoder (Chen et al. 2023, section 2.1): T5 tokens of the lower-case prompt with a padding mask, as in diffusers with
/// <c>clean_caption=False</c>. By default, if ftfy and BeautifulSoup are installed, diffusers also removes URLs, file names and most
/// punctuation, as in PixArt's training captions.
/// </summary>
public sealed class PixArtPromptEncoder : IPromptEncoder
{
    /// <summary>Number of tokens of PixArt-α.</summary>
    public const int AlphaTokens = 120;

    /// <summary>Number of tokens of PixArt-Σ.</summary>
    public const int SigmaTokens = 300;

    private readonly T5Tower _tower;
    private readonly int _tokens;

    /// <param name="tower">Text encoder.</param>
    /// <param name="tokens">Number of tokens per prompt: <see cref="AlphaTokens"/> or <see cref="SigmaTokens"/>.</param>
    public PixArtPromptEncoder(T5Tower tower, int tokens)
    {
        ArgumentNullException.ThrowIfNull(tower);
        ArgumentOutOfRangeException.ThrowIfLessThan(tokens, 1);
        (_tower, _tokens) = (tower, tokens);
    }

    /// <inheritdoc/>
    public int Width => _tower.Model.Config.DModel;

    /// <inheritdoc/>
    public int? PooledWidth => null;

    /// <inheritdoc/>
    public bool TakesTimeIds => false;

    /// <inheritdoc/>
    public EncodedPrompts Encode(IReadOnlyList<string> prompts)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        using var scope = TensorScope.Enter();
        var cut = new List<CutPrompt>();
        var (states, mask) = _tower.Encode([.. prompts.Select(static p => ClipText.Lower(p).Trim())], _tokens, masked: true, cut);
        return new EncodedPrompts(new Condition { Text = scope.Keep(states.To(DType.Float32)), TextMask = scope.Keep(mask) }, cut);
    }
}
