using Retouch.Conditioning.Tokenizers;
using Retouch.Torch;

namespace Retouch.Conditioning.Prompts;

/// <summary>
/// Stable Diffusion 1.x and 2.x: the states of one of CLIP's text encoders. The penultimate layer of 2.x is the last one of its file.
/// </summary>
public sealed class ClipPromptEncoder : IPromptEncoder
{
    private readonly ClipTower _tower;
    private readonly int _skip;

    /// <param name="tower">The encoder.</param>
    /// <param name="clipSkip">Layers left out at the end (diffusers' <c>clip_skip</c>); the final normalisation follows
    /// nonetheless.</param>
    public ClipPromptEncoder(ClipTower tower, int clipSkip = 0)
    {
        ArgumentNullException.ThrowIfNull(tower);
        ArgumentOutOfRangeException.ThrowIfNegative(clipSkip);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(clipSkip, tower.Model.Config.NumHiddenLayers);
        (_tower, _skip) = (tower, clipSkip);
    }

    /// <inheritdoc/>
    public int Width => _tower.Model.Config.HiddenSize;

    /// <inheritdoc/>
    public int? PooledWidth => null;

    /// <inheritdoc/>
    public bool TakesTimeIds => false;

    /// <inheritdoc/>
    public EncodedPrompts Encode(IReadOnlyList<string> prompts)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var cut = new List<CutPrompt>();
        var output = _tower.Encode(prompts, _skip == 0 ? null : _skip, cut);
        var text = output.HiddenState is null ? output.LastHiddenState : _tower.Model.FinalNorm(output.HiddenState);
        return new EncodedPrompts(new Condition { Text = scope.Keep(text.To(DType.Float32)) }, cut);
    }
}
