namespace Retouch.Evaluation.Reports;

/// <summary>
/// Assigns one colour to each name of a report: arms first, in their order, then other names in order of appearance. The colours are
/// defined in the style sheet; further names repeat them, dashed.
/// </summary>
internal sealed class Palette
{
    /// <summary>Number of distinct colours.</summary>
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

    /// <summary>Colour of a name, or null for names without one (references, table rows other than arms).</summary>
    public int? Find(string name) => _slots.TryGetValue(name, out var slot) ? slot : null;
}
