using System.Text.Json.Nodes;
using Retouch.Core.Errors;

namespace Retouch.Denoisers.UNet;

/// <summary>
/// The shape of a <see cref="UNet2DCondition"/>, with the names that diffusers gives its members in <c>config.json</c>. Lists "by block"
/// have one entry for all blocks of the down path, or one for each, from the highest resolution downwards; the up path takes them in
/// reverse.
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

    /// <summary>Side of the latents that it was made for; null stands for 64.</summary>
    public int? SampleSize { get; init; }

    /// <summary>Channels of what it takes.</summary>
    public int InChannels { get; init; } = 4;

    /// <summary>Channels put out: those of the latents, or twice as many where a variance is learned.</summary>
    public int OutChannels { get; init; } = 4;

    /// <summary>Whether the input is brought from [0, 1] to [−1, 1] first.</summary>
    public bool CenterInputSample { get; init; }

    /// <summary>Whether cosines stand before sines in the features of the time.</summary>
    public bool FlipSinToCos { get; init; } = true;

    /// <summary>Taken from the number of frequencies where they are spaced: 0 or 1.</summary>
    public double FreqShift { get; init; }

    /// <summary>
    /// Blocks of the down path: <c>CrossAttnDownBlock2D</c> (residual blocks, each followed by a transformer), <c>AttnDownBlock2D</c> (by
    /// self-attention), <c>DownBlock2D</c>.
    /// </summary>
    public IReadOnlyList<string> DownBlockTypes { get; init; } = [CrossDown, CrossDown, CrossDown, PlainDown];

    /// <summary>The middle: <c>UNetMidBlock2DCrossAttn</c>, <c>UNetMidBlock2D</c> (a single residual block), or null for nothing.</summary>
    public string? MidBlockType { get; init; } = CrossMid;

    /// <summary>
    /// Blocks of the up path, from the lowest resolution upwards: <c>CrossAttnUpBlock2D</c>, <c>AttnUpBlock2D</c>, <c>UpBlock2D</c>.
    /// </summary>
    public IReadOnlyList<string> UpBlockTypes { get; init; } = [PlainUp, CrossUp, CrossUp, CrossUp];

    /// <summary>By block: whether the first attention of a transformer block looks at the text too, instead of at the picture.</summary>
    public IReadOnlyList<bool> OnlyCrossAttention { get; init; } = [false];

    /// <summary>Channels of each level; each but the last halves the resolution.</summary>
    public IReadOnlyList<int> BlockOutChannels { get; init; } = [320, 640, 1280, 1280];

    /// <summary>By block: residual blocks of the down path; the up path has one more.</summary>
    public IReadOnlyList<int> LayersPerBlock { get; init; } = [2];

    /// <summary>Zeros around what is halved: 1 on every side, or 0 for one on the right and at the bottom.</summary>
    public int DownsamplePadding { get; init; } = 1;

    /// <summary>What the middle's residual blocks are divided by.</summary>
    public double MidBlockScaleFactor { get; init; } = 1;

    /// <summary>Groups of every group normalisation.</summary>
    public int NormNumGroups { get; init; } = 32;

    /// <summary>
    /// Added to the variance by the group normalisations of residual blocks and of the output; transformers enter with 1e-6.
    /// </summary>
    public double NormEps { get; init; } = 1e-5;

    /// <summary>
    /// By block: width of the text's tokens, the same for all. Null for networks without text, whose transformer blocks have self-attention
    /// alone; diffusers needs a number here, even where no block uses it.
    /// </summary>
    public IReadOnlyList<int>? CrossAttentionDim { get; init; } = [1280];

    /// <summary>
    /// By block: transformer blocks after each residual block; an entry may itself be a list, a number for each residual block.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<int>> TransformerLayersPerBlock { get; init; } =
    [
        [1],
    ];

    /// <summary>
    /// The same for the up path, from the lowest resolution upwards; null reverses <see cref="TransformerLayersPerBlock"/>.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<int>>? ReverseTransformerLayersPerBlock { get; init; }

    /// <summary>
    /// By block: the NUMBER of heads in transformers, a historic misnomer that published files rely on. In <c>AttnDownBlock2D</c> and
    /// <c>AttnUpBlock2D</c> it is what its name says, channels of a head.
    /// </summary>
    public IReadOnlyList<int> AttentionHeadDim { get; init; } = [8];

    /// <summary>Whether transformers enter and leave by a linear layer instead of a 1×1 convolution.</summary>
    public bool UseLinearProjection { get; init; }

    /// <summary>
    /// How a class is told: null with <see cref="NumClassEmbeds"/> for a table, <c>timestep</c> (a number that becomes sines and cosines),
    /// <c>projection</c> (a vector through two linear layers), <c>identity</c> (a vector as it is).
    /// </summary>
    public string? ClassEmbedType { get; init; }

    /// <summary>
    /// Rows of the table of classes. The last one stands for "no class", as in the class-conditional networks of Rombach et al. 2022: for
    /// 20 classes this is 21.
    /// </summary>
    public int? NumClassEmbeds { get; init; }

    /// <summary>
    /// What is told besides: null, or <c>text_time</c> for SDXL's pooled text and sizes (Podell et al. 2023, section 2.2).
    /// </summary>
    public string? AdditionEmbedType { get; init; }

    /// <summary>With <c>text_time</c>: features that each of the sizes becomes.</summary>
    public int? AdditionTimeEmbedDim { get; init; }

    /// <summary>Length of the vector of a <c>projection</c>, and of pooled text and features of the sizes together.</summary>
    public int? ProjectionClassEmbeddingsInputDim { get; init; }

    /// <summary>Whether attention computes in float32 whatever the weights' type.</summary>
    public bool UpcastAttention { get; init; }

    /// <summary>How the time enters a residual block: <c>default</c> (added) or <c>scale_shift</c>.</summary>
    public string ResnetTimeScaleShift { get; init; } = "default";

    /// <summary>Width of the time's embedding; null stands for four times the first level's channels.</summary>
    public int? TimeEmbeddingDim { get; init; }

    /// <summary>Side of the first convolution's kernel; odd.</summary>
    public int ConvInKernel { get; init; } = 3;

    /// <summary>Side of the last convolution's kernel; odd.</summary>
    public int ConvOutKernel { get; init; } = 3;

    /// <summary>Width of the time's embedding.</summary>
    public int TimeWidth => TimeEmbeddingDim ?? (4 * BlockOutChannels[0]);

    /// <summary>Levels.</summary>
    public int Levels => BlockOutChannels.Count;

    /// <summary>Whether any block looks at text.</summary>
    public bool TakesText =>
        CrossAttentionDim is not null && (MidBlockType == CrossMid || DownBlockTypes.Contains(CrossDown) || UpBlockTypes.Contains(CrossUp));

    /// <summary>Reads the members of a <c>config.json</c>; missing ones take diffusers' defaults.</summary>
    /// <param name="json">The object.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind, or asks for what this network has not.</exception>
    public static UNet2DConditionConfig FromJson(JsonObject json, string origin = "config.json")
    {
        ArgumentNullException.ThrowIfNull(json);
        var config = UNetConfigReader.Read(json, origin);
        config.Validate(origin);
        return config;
    }

    /// <summary>The members as diffusers writes them.</summary>
    public JsonObject ToJson() => UNetConfigReader.Write(this);

    /// <summary>Checks what no single member can show.</summary>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Members do not fit each other.</exception>
    public void Validate(string origin = "config.json")
    {
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
        Supported("down_block_types", DownBlockTypes, [CrossDown, SelfDown, PlainDown]);
        Supported("up_block_types", UpBlockTypes, [CrossUp, SelfUp, PlainUp]);
        Supported("mid_block_type", [MidBlockType ?? CrossMid], [CrossMid, PlainMid]);
        Supported("resnet_time_scale_shift", [ResnetTimeScaleShift], ["default", "scale_shift"]);
        Supported("class_embed_type", [ClassEmbedType ?? "timestep"], ["timestep", "projection", "identity"]);
        Supported("addition_embed_type", [AdditionEmbedType ?? "text_time"], ["text_time"]);
        if (CrossAttentionDim?.Distinct().Count() > 1)
            throw new InputException(
                $"'{origin}': cross_attention_dim is [{string.Join(", ", CrossAttentionDim)}]; blocks that look at texts of "
                    + $"different widths are not supported."
            );
        if (ReverseTransformerLayersPerBlock is null && TransformerLayersPerBlock.Any(static l => l.Count > 1))
            throw new InputException(
                $"'{origin}': transformer_layers_per_block has a list for a block; say what the up path has in "
                    + $"reverse_transformer_layers_per_block."
            );
        if (ClassEmbedType is null ? NumClassEmbeds < 2 : NumClassEmbeds is not null && ClassEmbedType != "timestep")
            throw new InputException(
                $"'{origin}': num_class_embeds is {NumClassEmbeds} where class_embed_type is {ClassEmbedType ?? "null"}; a table "
                    + $"needs a class and, as its last row, 'no class', other types take no table."
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
                    + $"addition_embed_type text_time needs an even number, null needs none."
            );
        if (BlockOutChannels[0] % 2 == 1 || ConvInKernel % 2 == 0 || ConvOutKernel % 2 == 0)
            throw new InputException(
                $"'{origin}': block_out_channels must start with an even number, conv_in_kernel and conv_out_kernel must be odd."
            );
        if (DownsamplePadding > 1)
            throw new InputException($"'{origin}': downsample_padding is {DownsamplePadding}; 0 and 1 are supported.");

        void Check(string name, int count, bool exactly = false)
        {
            if (count != Levels && (exactly || count != 1))
                throw new InputException($"'{origin}': {name} has {count} entries, block_out_channels has {Levels}.");
        }

        void Supported(string name, IEnumerable<string> values, string[] known)
        {
            if (values.FirstOrDefault(v => !known.Contains(v, StringComparer.Ordinal)) is { } odd)
                throw new InputException($"'{origin}': {name} is '{odd}'; supported are {string.Join(", ", known)}.");
        }
    }

    /// <summary>The entry of a list "by block".</summary>
    internal static T At<T>(IReadOnlyList<T> list, int block) => list.Count == 1 ? list[0] : list[block];
}
