using Retouch.Conditioning.Tokenizers;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Conditioning.Prompts;

/// <summary>
/// SDXL prompt encoder (Podell et al. 2023, section 2.1): the penultimate hidden states of two CLIP text encoders, concatenated along
/// the channels, and the projected pooled state of the second. With <c>force_zeros_for_empty_prompt</c> in <c>model_index.json</c>, an
/// empty prompt becomes zeros, in training and sampling. This matches SDXL's training (Stability's generative-models multiplies dropped
/// embeddings by 0) and diffusers without a negative prompt; diffusers encodes a negative prompt given as "".
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
    /// <param name="clipSkip">Number of final layers to skip in addition to the last.</param>
    /// <exception cref="InputException">The second encoder has no projection, or the token counts differ.</exception>
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

    /// <summary>Encodes prompts with size and crop conditioning.</summary>
    /// <param name="prompts">Prompts, one per sample; empty for unconditional.</param>
    /// <param name="pictures">Size conditioning, one per sample.</param>
    /// <exception cref="ArgumentException">The counts differ, or there are no prompts.</exception>
    public EncodedPrompts Encode(IReadOnlyList<string> prompts, IReadOnlyList<MicroConditioning> pictures)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        ArgumentNullException.ThrowIfNull(pictures);
        if (prompts.Count != pictures.Count)
            throw new ArgumentException($"{prompts.Count} prompts need as many size conditions, not {pictures.Count}.", nameof(pictures));
        var encoded = Encode(prompts);
        return encoded with { Condition = encoded.Condition with { TimeIds = MicroConditioning.ToTensor(pictures, _first.Model.Device) } };
    }
}

/// <summary>Checks for pairs of CLIP text encoders.</summary>
internal static class ClipPair
{
    /// <summary>Checks that their outputs can be concatenated.</summary>
    /// <exception cref="InputException">The second encoder has no projection, or the token counts differ.</exception>
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
                $"{family}'s text encoders must take the same number of tokens; text_encoder takes {first.Tokens}, text_encoder_2 "
                    + $"{second.Tokens}."
            );
    }
}
