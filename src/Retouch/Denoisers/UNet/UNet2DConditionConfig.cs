using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Denoisers.UNet;

/// <summary>
/// Configuration of a <see cref="UNet2DCondition"/>; members as in diffusers' <c>config.json</c>. Per-block lists have one entry for
/// all blocks of the down path, or one for each from the highest resolution downwards; the up path uses them in reverse order.
/// </summary>
public sealed record UNet2DConditionConfig
{
    internal const string CrossDown = "CrossAttnDownBlock2D";
    internal const string SelfDown = "AttnDownBlock2D";
    internal const string PlainDown = "DownBlock2D";
    internal const string CrossUp = "CrossAttnUpBlock2D";
    internal const string SelfUp = "AttnUpBlock2D";
    internal const string PlainUp = "UpBlock2D";
    internal const string CrossMid = "UNetMidBlock2DCrossAttn";
    internal const string PlainMid = "UNetMidBlock2D";

    /// <summary>Latent side of pretraining; null for 64.</summary>
    public int? SampleSize { get; init; }

    /// <summary>Input channels.</summary>
    public int InChannels { get; init; } = 4;

    /// <summary>Output channels: those of the latents, or twice as many with a learned variance.</summary>
    public int OutChannels { get; init; } = 4;

    /// <summary>Whether the input is mapped from [0, 1] to [−1, 1] first.</summary>
    public bool CenterInputSample { get; init; }

    /// <summary>Whether cosines precede sines in the timestep features.</summary>
    public bool FlipSinToCos { get; init; } = true;

    /// <summary>Subtracted from the number of timestep frequencies in their spacing: 0 or 1.</summary>
    public double FreqShift { get; init; }

    /// <summary>
    /// Block types of the down path: <c>CrossAttnDownBlock2D</c> (residual blocks, each followed by a transformer),
    /// <c>AttnDownBlock2D</c> (each followed by self-attention), <c>DownBlock2D</c>.
    /// </summary>
    public IReadOnlyList<string> DownBlockTypes { get; init; } = [CrossDown, CrossDown, CrossDown, PlainDown];

    /// <summary>Mid block type: <c>UNetMidBlock2DCrossAttn</c>, <c>UNetMidBlock2D</c> (a single residual block), or null for
    /// none.</summary>
    public string? MidBlockType { get; init; } = CrossMid;

    /// <summary>
    /// Block types of the up path, from the lowest resolution upwards: <c>CrossAttnUpBlock2D</c>, <c>AttnUpBlock2D</c>,
    /// <c>UpBlock2D</c>.
    /// </summary>
    public IReadOnlyList<string> UpBlockTypes { get; init; } = [PlainUp, CrossUp, CrossUp, CrossUp];

    /// <summary>Per block: whether the first attention of a transformer block is cross-attention too, instead of
    /// self-attention.</summary>
    public IReadOnlyList<bool> OnlyCrossAttention { get; init; } = [false];

    /// <summary>Channels of each level; every level but the last halves the resolution.</summary>
    public IReadOnlyList<int> BlockOutChannels { get; init; } = [320, 640, 1280, 1280];

    /// <summary>Per block: residual blocks of the down path; the up path has one more.</summary>
    public IReadOnlyList<int> LayersPerBlock { get; init; } = [2];

    /// <summary>Zero padding of the downsampling: 1 on every side, or 0 for one row and column on the right and bottom.</summary>
    public int DownsamplePadding { get; init; } = 1;

    /// <summary>Divisor of the outputs of the mid block's residual blocks.</summary>
    public double MidBlockScaleFactor { get; init; } = 1;

    /// <summary>Number of groups of every group normalisation.</summary>
    public int NormNumGroups { get; init; } = 32;

    /// <summary>
    /// ε of the group normalisations of residual blocks and of the output; transformers use 1e-6.
    /// </summary>
    public double NormEps { get; init; } = 1e-5;

    /// <summary>
    /// Per block: width of the text tokens, equal for all. Null for networks without text, whose transformer blocks have self-attention
    /// only; diffusers requires a number here even if no block uses it.
    /// </summary>
    public IReadOnlyList<int>? CrossAttentionDim { get; init; } = [1280];

    /// <summary>
    /// Per block: transformer blocks after each residual block; an entry can be a list with one number per residual block.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<int>> TransformerLayersPerBlock { get; init; } =
    [
        [1],
    ];

    /// <summary>
    /// The same for the up path, from the lowest resolution upwards; null for the reverse of <see cref="TransformerLayersPerBlock"/>.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<int>>? ReverseTransformerLayersPerBlock { get; init; }

    /// <summary>
    /// Per block: the NUMBER of heads in transformers, a historic misnomer that published files rely on. In <c>AttnDownBlock2D</c> and
    /// <c>AttnUpBlock2D</c> it is the number of channels per head.
    /// </summary>
    public IReadOnlyList<int> AttentionHeadDim { get; init; } = [8];

    /// <summary>Whether transformers project input and output with a linear layer instead of a 1×1 convolution.</summary>
    public bool UseLinearProjection { get; init; }

    /// <summary>
    /// Class embedding: null with <see cref="NumClassEmbeds"/> for a table, <c>timestep</c> (sinusoidal features of a number),
    /// <c>projection</c> (a vector through two linear layers), <c>identity</c> (an unchanged vector).
    /// </summary>
    public string? ClassEmbedType { get; init; }

    /// <summary>
    /// Rows of the class table. The last row is "no class", as in the class-conditional networks of Rombach et al. 2022: 21 for 20
    /// classes.
    /// </summary>
    public int? NumClassEmbeds { get; init; }

    /// <summary>
    /// Additional conditioning: null for none, or <c>text_time</c> for SDXL's pooled text and sizes (Podell et al. 2023, section 2.2).
    /// </summary>
    public string? AdditionEmbedType { get; init; }

    /// <summary>With <c>text_time</c>: number of sinusoidal features per size value.</summary>
    public int? AdditionTimeEmbedDim { get; init; }

    /// <summary>Input width of a <c>projection</c>, or of pooled text and size features combined.</summary>
    public int? ProjectionClassEmbeddingsInputDim { get; init; }

    /// <summary>Whether attention is computed in float32, whatever the weights' dtype.</summary>
    public bool UpcastAttention { get; init; }

    /// <summary>Timestep conditioning of residual blocks: <c>default</c> (added) or <c>scale_shift</c>.</summary>
    public string ResnetTimeScaleShift { get; init; } = "default";

    /// <summary>Width of the timestep embedding; null for four times the first level's channels.</summary>
    public int? TimeEmbeddingDim { get; init; }

    /// <summary>Kernel side of the first convolution; odd.</summary>
    public int ConvInKernel { get; init; } = 3;

    /// <summary>Kernel side of the last convolution; odd.</summary>
    public int ConvOutKernel { get; init; } = 3;

    /// <summary>Width of the timestep embedding.</summary>
    public int TimeWidth => TimeEmbeddingDim ?? (4 * BlockOutChannels[0]);

    /// <summary>Number of levels.</summary>
    public int Levels => BlockOutChannels.Count;

    /// <summary>Whether any block has cross-attention to text.</summary>
    public bool TakesText =>
        CrossAttentionDim is not null && (MidBlockType == CrossMid || DownBlockTypes.Contains(CrossDown) || UpBlockTypes.Contains(CrossUp));

    /// <summary>Reads a <c>config.json</c>; missing members take diffusers' defaults.</summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A member has the wrong type or an unsupported value.</exception>
    public static UNet2DConditionConfig FromJson(JsonObject json, string origin = "config.json")
    {
        var config = ConfigMembers.Read<UNet2DConditionConfig>(json, origin, UNetConfigMembers.Map);
        config.Validate(origin);
        return config;
    }

    /// <summary>Members as written by diffusers.</summary>
    public JsonObject ToJson() => ConfigMembers.Write(this, UNetConfigMembers.Map);

    /// <summary>Validates the members against each other.</summary>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">Members are inconsistent.</exception>
    public void Validate(string origin = "config.json")
    {
        ConfigMembers.Check(this, UNetConfigMembers.Map, origin);
        if (Levels is 0 or > 8)
            throw new InputException($"'{origin}': block_out_channels has {Levels} levels; from 1 to 8 are supported.");
        Check("down_block_types", DownBlockTypes.Count, exactly: true);
        Check("up_block_types", UpBlockTypes.Count, exactly: true);
        Check("only_cross_attention", OnlyCrossAttention.Count);
        Check("layers_per_block", LayersPerBlock.Count);
        Check("attention_head_dim", AttentionHeadDim.Count);
        Check("cross_attention_dim", CrossAttentionDim?.Count ?? 1);
        Check("transformer_layers_per_block", TransformerLayersPerBlock.Count);
        Check("reverse_transformer_layers_per_block", ReverseTransformerLayersPerBlock?.Count ?? 1);
        if (CrossAttentionDim?.Distinct().Count() > 1)
            throw new InputException(
                $"'{origin}': cross_attention_dim is [{string.Join(", ", CrossAttentionDim)}]; different text widths per block are not "
                    + $"supported."
            );
        if (ReverseTransformerLayersPerBlock is null && TransformerLayersPerBlock.Any(static l => l.Count > 1))
            throw new InputException(
                $"'{origin}': transformer_layers_per_block has a list for a block; set reverse_transformer_layers_per_block for the up "
                    + $"path."
            );
        if (ClassEmbedType is null ? NumClassEmbeds < 2 : NumClassEmbeds is not null && ClassEmbedType != "timestep")
            throw new InputException(
                $"'{origin}': num_class_embeds is {NumClassEmbeds} with class_embed_type {ClassEmbedType ?? "null"}; a table needs at "
                    + $"least one class and, as its last row, 'no class'; other types have no table."
            );
        if (ClassEmbedType == "projection" && AdditionEmbedType is not null)
            throw new InputException(
                $"'{origin}': class_embed_type projection and addition_embed_type {AdditionEmbedType} share "
                    + $"projection_class_embeddings_input_dim; only one of them is supported."
            );
        if ((ClassEmbedType == "projection" || AdditionEmbedType is not null) != (ProjectionClassEmbeddingsInputDim is not null))
            throw new InputException(
                $"'{origin}': projection_class_embeddings_input_dim goes with class_embed_type projection or addition_embed_type text_time."
            );
        if ((AdditionEmbedType is not null) != (AdditionTimeEmbedDim is not null) || AdditionTimeEmbedDim % 2 == 1)
            throw new InputException(
                $"'{origin}': addition_time_embed_dim is "
                    + $"{AdditionTimeEmbedDim?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "null"}; "
                    + $"addition_embed_type text_time needs an even number; without it, the member must be null."
            );
        if (BlockOutChannels[0] % 2 == 1 || ConvInKernel % 2 == 0 || ConvOutKernel % 2 == 0)
            throw new InputException(
                $"'{origin}': block_out_channels must start with an even number, conv_in_kernel and conv_out_kernel must be odd."
            );

        void Check(string name, int count, bool exactly = false)
        {
            if (count != Levels && (exactly || count != 1))
                throw new InputException($"'{origin}': {name} has {count} entries, block_out_channels has {Levels}.");
        }
    }

    /// <summary>Entry of a per-block list.</summary>
    internal static T At<T>(IReadOnlyList<T> list, int block) => list.Count == 1 ? list[0] : list[block];
}
