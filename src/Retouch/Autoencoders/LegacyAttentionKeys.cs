using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>
/// Renames the mid-block attention keys of autoencoders saved before diffusers 0.15: <c>query</c>, <c>key</c>, <c>value</c> and
/// <c>proj_attn</c>.
/// </summary>
internal static class LegacyAttentionKeys
{
    private static readonly (string Old, string New)[] Renamed =
    [
        (".attentions.0.query.", ".attentions.0.to_q."),
        (".attentions.0.key.", ".attentions.0.to_k."),
        (".attentions.0.value.", ".attentions.0.to_v."),
        (".attentions.0.proj_attn.", ".attentions.0.to_out.0."),
    ];

    /// <summary>Checkpoint with current key names.</summary>
    public static ITensorSource Of(ITensorSource source) =>
        new RenamedTensors(
            source,
            static name => Renamed.Aggregate(name, static (n, pair) => n.Replace(pair.Old, pair.New, StringComparison.Ordinal))
        );
}
