using Retouch.Objectives;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>Metrics of one step, averaged over its micro-batches.</summary>
/// <param name="micros">Number of micro-batches.</param>
internal sealed class StepRecord(int micros)
{
    private readonly Dictionary<string, LossTerm> _terms = new(StringComparer.Ordinal);
    private readonly Dictionary<string, HealthFigure> _health = new(StringComparer.Ordinal);
    private List<KeyValuePair<string, double>>? _values;

    /// <summary>All metrics by log name; step-level metrics can be added after all micro-batches.</summary>
    public List<KeyValuePair<string, double>> Values => _values ??= Collect();

    public double Loss => _terms.Values.Sum(static t => t.Weighted);

    public bool IsFinite { get; private set; } = true;

    /// <summary>Whether the step was skipped because of a gradient overflow in float16.</summary>
    public bool IsSkipped { get; set; }

    /// <summary>Averaged terms, each with its share of <see cref="Loss"/>.</summary>
    public IReadOnlyList<LossTerm> Terms => [.. _terms.Values.Select(t => t with { Share = Share(t.Weighted) })];

    public void Add(StepLoss loss)
    {
        foreach (var term in loss.Loss.Terms)
        {
            var sum = _terms.GetValueOrDefault(term.Name) ?? new LossTerm(term.Name, 0, 0, 0);
            _terms[term.Name] = sum with { Raw = sum.Raw + (term.Raw / micros), Weighted = sum.Weighted + (term.Weighted / micros) };
            IsFinite &= double.IsFinite(term.Raw) && double.IsFinite(term.Weighted);
        }

        foreach (var (name, value) in loss.Loss.Figures)
            _health[name] = _health.TryGetValue(name, out var before) ? before.Plus(value) : value;
    }

    private double Share(double weighted) => Loss == 0 ? 0 : weighted / Loss;

    private List<KeyValuePair<string, double>> Collect()
    {
        List<KeyValuePair<string, double>> values = [new("loss/total", Loss)];
        foreach (var (name, raw, weighted, share) in Terms)
        {
            values.Add(new($"loss/{name}/raw", raw));
            values.Add(new($"loss/{name}/weighted", weighted));
            values.Add(new($"loss/{name}/share", share));
        }

        values.AddRange(_health.Where(static h => h.Value.IsKnown).Select(static h => KeyValuePair.Create(h.Key, h.Value.Value)));
        return values;
    }
}
