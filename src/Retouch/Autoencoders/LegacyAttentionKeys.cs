using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>
/// A checkpoint seen under today's keys. Autoencoders saved before diffusers 0.15 call the projections of their middle attention
/// <c>query</c>, <c>key</c>, <c>value</c> and <c>proj_attn</c>.
/// </summary>
internal sealed class LegacyAttentionKeys(ITensorSource source) : ITensorSource
{
    private static readonly (string Old, string New)[] Renamed =
    [
        (".attentions.0.query.", ".attentions.0.to_q."),
        (".attentions.0.key.", ".attentions.0.to_k."),
        (".attentions.0.value.", ".attentions.0.to_v."),
        (".attentions.0.proj_attn.", ".attentions.0.to_out.0."),
    ];

    private readonly Dictionary<string, string> _stored = Index(source.Names);

    public IEnumerable<string> Names => _stored.Keys;

    public long[] ShapeOf(string name) => source.ShapeOf(_stored[name]);

    public Tensor Read(string name) => source.Read(_stored[name]);

    public Tensor ReadOwned(string name) => source.ReadOwned(_stored[name]);

    /// <summary>
    /// Today's key to the stored one. A checkpoint that has both keeps the old one under its own name, to be reported as unexpected.
    /// </summary>
    private static Dictionary<string, string> Index(IEnumerable<string> names)
    {
        var stored = names.ToHashSet(StringComparer.Ordinal);
        return stored.ToDictionary(
            name =>
            {
                var today = Renamed.Aggregate(name, static (n, pair) => n.Replace(pair.Old, pair.New, StringComparison.Ordinal));
                return stored.Contains(today) ? name : today;
            },
            StringComparer.Ordinal
        );
    }
}
