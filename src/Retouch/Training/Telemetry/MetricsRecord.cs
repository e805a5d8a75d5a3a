namespace Retouch.Training.Telemetry;

/// <summary>What one line of <c>metrics.jsonl</c> says.</summary>
/// <param name="Step">The optimiser step, counted from 1 (0 = before training).</param>
/// <param name="Time">When it was written: seconds since 1970-01-01 UTC.</param>
/// <param name="Values">The named numbers, in the order of the line. May hold NaN and infinities.</param>
public sealed record MetricsRecord(long Step, double Time, IReadOnlyList<KeyValuePair<string, double>> Values)
{
    /// <summary>The value called <paramref name="name"/>, or null where this step has none.</summary>
    public double? Find(string name)
    {
        foreach (var (key, value) in Values)
        {
            if (key == name)
                return value;
        }

        return null;
    }
}

/// <summary>One number over the steps: what a curve is drawn from.</summary>
/// <param name="Name">The name in the log.</param>
/// <param name="Steps">Steps at which it was logged, ascending.</param>
/// <param name="Values">Its values, as many as <paramref name="Steps"/>.</param>
public sealed record MetricsSeries(string Name, IReadOnlyList<double> Steps, IReadOnlyList<double> Values)
{
    /// <summary>Takes one name's values out of a log; empty where the name never occurs.</summary>
    public static MetricsSeries Of(IEnumerable<MetricsRecord> records, string name)
    {
        List<double> steps = [];
        List<double> values = [];
        foreach (var record in records)
        {
            if (record.Find(name) is not { } value)
                continue;
            steps.Add(record.Step);
            values.Add(value);
        }

        return new(name, steps, values);
    }
}
