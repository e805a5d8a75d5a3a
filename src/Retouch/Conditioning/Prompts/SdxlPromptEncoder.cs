using Retouch.Conditioning.Tokenizers;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Conditioning.Prompts;

/// <summary>
/// SDXL (Podell et al. 2023, section 2.1): the states before the last layer of two of CLIP's text encoders side by side, and the projected
/// pooled state of the second. An empty prompt is none: where <c>model_index.json</c> forces zeros, it is zeros, in training as in
/// sampling. So dropped prompts were when SDXL was trained (Stability's generative-models multiplies dropped embeddings by 0), and so
/// diffusers samples when it is given no negative prompt; one that is given as "" it encodes.
/// </summary>
public sealed class SdxlPromptEncoder : IPromptEncoder
{
    private readonly ClipTower _first;
    private readonly ClipTower _second;
    private readonly bool _forceZeros;
    private readonly int _skip;

    /// <param name="first"><c>text_encoder</c>.</param>
    /// <param name="second"><c>text_encoder_2</c>, with projection.</param>
    /// <param name="forceZerosForEmptyPrompt">Whether an empty prompt becomes zeros instead of being encoded
    /// (<c>model_index.json</c>).</param>
    /// <param name="clipSkip">Layers left out at the end besides the one that always is.</param>
    /// <exception cref="InputException">The second has no projection, or they take different numbers of tokens.</exception>
    public SdxlPromptEncoder(ClipTower first, ClipTower second, bool forceZerosForEmptyPrompt, int clipSkip = 0)
    {
        ClipPair.Check(first, second, clipSkip, "SDXL");
        (_first, _second, _forceZeros, _skip) = (first, second, forceZerosForEmptyPrompt, clipSkip + 1);
    }

    /// <inheritdoc/>
    public int Width => _first.Model.Config.HiddenSize + _second.Model.Config.HiddenSize;

    /// <inheritdoc/>
    public int? PooledWidth => _second.Model.Config.ProjectionDim;

    /// <inheritdoc/>
    public bool TakesTimeIds => true;

    /// <inheritdoc/>
    public EncodedPrompts Encode(IReadOnlyList<string> prompts)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var cut = new List<CutPrompt>();
        var (a, b) = (_first.Encode(prompts, _skip, cut), _second.Encode(prompts, _skip, cut));
        var device = _first.Model.Device;
        var text = Ops.Cat([a.HiddenState!.To(DType.Float32), b.HiddenState!.To(device).To(DType.Float32)], -1);
        var pooled = b.Projected!.To(device).To(DType.Float32);
        if (_forceZeros && prompts.Any(static p => p.Length == 0))
        {
            var empty = Tensor.From(prompts.Select(static p => p.Length == 0 ? 1L : 0L).ToArray()).Ne(0).To(device);
            text = text.MaskedFill(empty.View([-1, 1, 1]), 0);
            pooled = pooled.MaskedFill(empty.View([-1, 1]), 0);
        }

        return new EncodedPrompts(new Condition { Text = scope.Keep(text), Pooled = scope.Keep(pooled) }, cut);
    }

    /// <summary>Encodes prompts, with what SDXL is told of each picture.</summary>
    /// <param name="prompts">One for each sample; empty for "without a prompt".</param>
    /// <param name="pictures">As many.</param>
    /// <exception cref="ArgumentException">The numbers differ, or there are none.</exception>
    public EncodedPrompts Encode(IReadOnlyList<string> prompts, IReadOnlyList<MicroConditioning> pictures)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        ArgumentNullException.ThrowIfNull(pictures);
        if (prompts.Count != pictures.Count)
            throw new ArgumentException($"{prompts.Count} prompts need as many pictures, not {pictures.Count}.", nameof(pictures));
        var encoded = Encode(prompts);
        return encoded with { Condition = encoded.Condition with { TimeIds = MicroConditioning.ToTensor(pictures, _first.Model.Device) } };
    }
}

/// <summary>Two of CLIP's text encoders side by side.</summary>
internal static class ClipPair
{
    /// <summary>Checks that their outputs can be put side by side.</summary>
    /// <exception cref="InputException">The second has no projection, or they take different numbers of tokens.</exception>
    public static void Check(ClipTower first, ClipTower second, int clipSkip, string family)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        ArgumentOutOfRangeException.ThrowIfNegative(clipSkip);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(
            clipSkip,
            Math.Min(first.Model.Config.NumHiddenLayers, second.Model.Config.NumHiddenLayers)
        );
        if (!second.Model.Config.WithProjection)
            throw new InputException($"{family}'s text_encoder_2 must be a CLIPTextModelWithProjection.");
        if (first.Tokens != second.Tokens)
            throw new InputException(
                $"{family}'s text encoders must take equally many tokens; text_encoder takes {first.Tokens}, text_encoder_2 "
                    + $"{second.Tokens}."
            );
    }
}
