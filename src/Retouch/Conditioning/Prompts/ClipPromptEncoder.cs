using Retouch.Conditioning.Tokenizers;
using Retouch.Torch;

namespace Retouch.Conditioning.Prompts;

/// <summary>
/// Prompt encoder of Stable Diffusion 1.x and 2.x: hidden states of one CLIP text encoder. The file of 2.x ends with the penultimate
/// layer.
/// </summary>
public sealed class ClipPromptEncoder : IPromptEncoder
{
    private readonly ClipTower _tower;
    private readonly int _skip;

    /// <param name="tower">Text encoder.</param>
    /// <param name="clipSkip">Number of final layers to skip (diffusers' <c>clip_skip</c>); the final normalisation is still
    /// applied.</param>
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
