using Retouch.Objectives;
using Retouch.Training.Distributed;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>Metrics of one step, averaged over its micro-batches.</summary>
/// <param name="micros">Number of micro-batches, over all processes.</param>
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
            AddTerm(term.Name, term.Raw / micros, term.Weighted / micros);
        foreach (var (name, value) in loss.Loss.Figures)
            AddHealth(name, value);
    }

    /// <summary>What the micro-batches of this process contribute to the step.</summary>
    /// <param name="suspects">Samples to name if the step is not finite.</param>
    /// <param name="times">Times of this process.</param>
    public StepShare Shared(IReadOnlyList<string> suspects, RankTimes times) =>
        new(
            [.. _terms.Values.Select(static t => new TermShare(t.Name, t.Raw, t.Weighted))],
            [.. _health.Select(static h => new HealthShare(h.Key, h.Value.Kind, h.Value.Sum, h.Value.Count))],
            suspects,
            times
        );

    /// <summary>The whole step, from the contributions of all processes by rank.</summary>
    public static StepRecord Of(int micros, IEnumerable<StepShare> shares)
    {
        var record = new StepRecord(micros);
        foreach (var share in shares)
        {
            foreach (var (name, raw, weighted) in share.Terms)
                record.AddTerm(name, raw, weighted);
            foreach (var (name, kind, sum, count) in share.Health)
                record.AddHealth(name, new(kind, sum, count));
        }

        return record;
    }

    private void AddTerm(string name, double raw, double weighted)
    {
        var sum = _terms.GetValueOrDefault(name) ?? new LossTerm(name, 0, 0, 0);
        _terms[name] = sum with { Raw = sum.Raw + raw, Weighted = sum.Weighted + weighted };
        IsFinite &= double.IsFinite(raw) && double.IsFinite(weighted);
    }

    private void AddHealth(string name, HealthFigure value) =>
        _health[name] = _health.TryGetValue(name, out var before) ? before.Plus(value) : value;

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

/// <summary>A process's contribution to the metrics of a step, as sums.</summary>
/// <param name="Terms">Loss terms.</param>
/// <param name="Health">Health metrics.</param>
/// <param name="Suspects">Samples to name if the step is not finite.</param>
/// <param name="Times">Times of the process.</param>
internal sealed record StepShare(
    IReadOnlyList<TermShare> Terms,
    IReadOnlyList<HealthShare> Health,
    IReadOnlyList<string> Suspects,
    RankTimes Times
);

/// <summary>A process's contribution to a loss term, relative to the micro-batches of all processes.</summary>
/// <param name="Name">Name of the term.</param>
/// <param name="Raw">Unweighted value.</param>
/// <param name="Weighted">Weighted value.</param>
internal sealed record TermShare(string Name, double Raw, double Weighted);

/// <summary>A process's contribution to a health metric.</summary>
/// <param name="Name">Log name.</param>
/// <param name="Kind">How the metric is computed from the sums.</param>
/// <param name="Sum">Numerator.</param>
/// <param name="Count">Denominator.</param>
internal sealed record HealthShare(string Name, HealthKind Kind, double Sum, double Count);
