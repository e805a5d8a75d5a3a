using Retouch.Conditioning.Tokenizers;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Conditioning.Prompts;

/// <summary>
/// Prompt encoder of Stable Diffusion 3 (Esser et al. 2024, section 4): the penultimate hidden states of two CLIP text encoders,
/// concatenated along the channels and zero-padded to T5's width, followed by T5's tokens; the pooled vector is the concatenation of
/// both projections. Without T5, its tokens are zeros of the same number (diffusers since pull request 12531; before, as many as
/// CLIP's).
/// </summary>
public sealed class Sd3PromptEncoder : IPromptEncoder
{
    /// <summary>Default number of T5 tokens.</summary>
    public const int DefaultT5Tokens = 256;

    private readonly ClipTower _first;
    private readonly ClipTower _second;
    private readonly T5Tower? _t5;
    private readonly int _t5Tokens;
    private readonly int _skip;

    /// <param name="first"><c>text_encoder</c>, with projection.</param>
    /// <param name="second"><c>text_encoder_2</c>, with projection.</param>
    /// <param name="t5"><c>text_encoder_3</c>; null to omit it.</param>
    /// <param name="width">The denoiser's <c>joint_attention_dim</c>, equal to T5's width.</param>
    /// <param name="t5Tokens">Number of T5 tokens.</param>
    /// <param name="clipSkip">Number of final CLIP layers to skip in addition to the last.</param>
    /// <exception cref="InputException">The encoders' widths or token counts do not match, or a CLIP encoder has no
    /// projection.</exception>
    public Sd3PromptEncoder(
        ClipTower first,
        ClipTower second,
        T5Tower? t5,
        int width = 4096,
        int t5Tokens = DefaultT5Tokens,
        int clipSkip = 0
    )
    {
        ClipPair.Check(first, second, clipSkip, "Stable Diffusion 3");
        ArgumentOutOfRangeException.ThrowIfLessThan(t5Tokens, 1);
        if (!first.Model.Config.WithProjection)
            throw new InputException("Stable Diffusion 3's text_encoder must be a CLIPTextModelWithProjection.");
        if (first.Model.Config.HiddenSize + second.Model.Config.HiddenSize is var clip && clip > width)
            throw new InputException(
                $"CLIP's text encoders have {clip} channels in total, more than the denoiser's joint_attention_dim {width}."
            );
        if (t5 is not null && t5.Model.Config.DModel != width)
            throw new InputException(
                $"T5 has {t5.Model.Config.DModel} channels (d_model), but the denoiser takes {width} (joint_attention_dim)."
            );
        (_first, _second, _t5, Width, _t5Tokens, _skip) = (first, second, t5, width, t5Tokens, clipSkip + 1);
    }

    /// <inheritdoc/>
    public int Width { get; }

    /// <inheritdoc/>
    public int? PooledWidth => _first.Model.Config.ProjectionDim + _second.Model.Config.ProjectionDim;

    /// <inheritdoc/>
    public bool TakesTimeIds => false;

    /// <inheritdoc/>
    public EncodedPrompts Encode(IReadOnlyList<string> prompts)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var cut = new List<CutPrompt>();
        var (a, b) = (_first.Encode(prompts, _skip, cut), _second.Encode(prompts, _skip, cut));
        var device = _first.Model.Device;
        var clip = Ops.Cat([Here(a.HiddenState!), Here(b.HiddenState!)], -1);
        var padded = clip.ConstantPadNd([0, Width - clip.Shape[2]]);
        var tail = _t5 is null
            ? Ops.Zeros([padded.Shape[0], _t5Tokens, Width], device: device)
            : Here(_t5.Encode(prompts, _t5Tokens, masked: false, cut).States);
        var condition = new Condition
        {
            Text = scope.Keep(Ops.Cat([padded, tail], 1)),
            Pooled = scope.Keep(Ops.Cat([Here(a.Projected!), Here(b.Projected!)], -1)),
        };
        return new EncodedPrompts(condition, cut);

        Tensor Here(Tensor x) => x.To(device).To(DType.Float32);
    }
}
