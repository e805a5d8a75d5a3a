namespace Retouch.Evaluation.Reports;

/// <summary>
/// Gives every name in a report one colour: arms first, in their order, then other names as they come. The colours themselves are in the
/// style sheet; past the last one they repeat, dashed.
/// </summary>
internal sealed class Palette
{
    /// <summary>Distinct colours.</summary>
    public const int Colors = 6;

    private readonly Dictionary<string, int> _slots = [];

    public Palette(ReportDocument document)
    {
        foreach (var arm in document.Arms)
            _slots.TryAdd(arm.Name, _slots.Count);
        foreach (var block in ReportChecks.Blocks(document))
        {
            IEnumerable<string> names = block switch
            {
                LineChart chart => chart.Series.Where(series => !series.IsReference).Select(series => series.Name),
                BarChart chart => chart.Series.Where(series => !series.IsReference).Select(series => series.Name),
                _ => [],
            };
            foreach (var name in names)
                _slots.TryAdd(name, _slots.Count);
        }
    }

    /// <summary>The colour of a name, or null for names that have none (references, table rows that are no arm).</summary>
    public int? Find(string name) => _slots.TryGetValue(name, out var slot) ? slot : null;
}
