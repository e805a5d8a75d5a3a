using System.Globalization;
using System.Text.Json.Serialization;

namespace Retouch.Training.Distributed;

/// <summary>Seconds of a step of one process until its last gradient, which the others wait for.</summary>
/// <param name="Compute">Without waiting for data.</param>
/// <param name="Data">Waiting for data.</param>
internal sealed record RankTimes(double Compute, double Data)
{
    /// <summary>Decoding, forward and backward, a part of <see cref="Compute"/>; null in steps that are not logged.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Decode { get; init; }

    /// <summary>Compute and data.</summary>
    [JsonIgnore]
    public double All => Compute + Data;
}

/// <summary>Which processes the others wait for.</summary>
/// <param name="size">Number of processes.</param>
internal sealed class SlowestRanks(int size)
{
    // With more processes the log has their extremes only.
    private const int MostListed = 16;

    private readonly int[] _steps = new int[size];
    private double _waited;
    private double _all;

    /// <summary>Adds a step; returns the values to log.</summary>
    /// <param name="times">Times by rank.</param>
    public IEnumerable<KeyValuePair<string, double>> Add(IReadOnlyList<RankTimes> times)
    {
        var slowest = Enumerable.Range(0, size).MaxBy(k => times[k].All);
        _steps[slowest]++;
        _waited += times[slowest].All - times.Average(static t => t.All);
        _all += times[slowest].All;
        yield return new("time/slowest", slowest);
        foreach (var rank in size <= MostListed ? Enumerable.Range(0, size) : [slowest])
        {
            yield return new($"time/rank{rank}/compute", times[rank].Compute);
            yield return new($"time/rank{rank}/data", times[rank].Data);
            if (times[rank].Decode is { } decode)
                yield return new($"time/rank{rank}/decode", decode);
        }
    }

    /// <summary>A sentence on the waiting of all steps so far; null before the first.</summary>
    public string? Summary()
    {
        if (_all <= 0)
            return null;
        var worst = Enumerable.Range(0, size).MaxBy(k => _steps[k]);
        return string.Create(
                CultureInfo.InvariantCulture,
                $"The processes waited for the slowest of them {_waited / _all:P0} of the time, "
            )
            + string.Create(
                CultureInfo.InvariantCulture,
                $"most often for rank {worst} ({(double)_steps[worst] / _steps.Sum():P0} of the steps)."
            );
    }
}
