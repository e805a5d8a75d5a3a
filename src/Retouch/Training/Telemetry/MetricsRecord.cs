namespace Retouch.Training.Telemetry;

/// <summary>One line of <c>metrics.jsonl</c>.</summary>
/// <param name="Step">Optimiser step, from 1 (0 = before training).</param>
/// <param name="Time">Time of writing in seconds since 1970-01-01 UTC.</param>
/// <param name="Values">Numbers by name, in the order of the line. May include NaN and infinities.</param>
public sealed record MetricsRecord(long Step, double Time, IReadOnlyList<KeyValuePair<string, double>> Values)
{
    /// <summary>Value of <paramref name="name"/>, or null.</summary>
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

/// <summary>One metric over the steps, for plots.</summary>
/// <param name="Name">Log name.</param>
/// <param name="Steps">Steps with a value, ascending.</param>
/// <param name="Values">One value per step.</param>
public sealed record MetricsSeries(string Name, IReadOnlyList<double> Steps, IReadOnlyList<double> Values)
{
    /// <summary>Extracts one metric from a log; empty if it does not occur.</summary>
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
