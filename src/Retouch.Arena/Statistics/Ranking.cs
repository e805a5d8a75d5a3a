using Retouch.Data;

namespace Retouch.Arena.Statistics;

/// <summary>Rank of a model.</summary>
/// <param name="Model">Name of the model.</param>
/// <param name="Strength">Bradley–Terry log-strength, mean 0 over the models, with a 95 % interval.</param>
public sealed record RankedModel(string Model, Share Strength);

/// <summary>Bradley–Terry strengths with bootstrap intervals.</summary>
public static class Ranking
{
    /// <summary>Ties added to each compared pair: keeps strengths finite if a model won all comparisons.</summary>
    public const double Prior = 1;

    /// <summary>
    /// Ranks models, strongest first. The interval is the percentile bootstrap over items, not over ratings: ratings of the same
    /// pictures are not independent.
    /// </summary>
    /// <param name="models">Names.</param>
    /// <param name="wins">Wins of the row over the column for each item, [models, models]; a tie counts half for both.</param>
    /// <param name="seed">Seed of the resamples.</param>
    /// <param name="resamples">Number of resamples, at least 1.</param>
    /// <returns>Empty if the comparisons do not connect all models: no common scale exists then.</returns>
    public static IReadOnlyList<RankedModel> Of(
        IReadOnlyList<string> models,
        IReadOnlyList<double[,]> wins,
        ulong seed,
        int resamples = 500
    )
    {
        ArgumentNullException.ThrowIfNull(models);
        ArgumentNullException.ThrowIfNull(wins);
        if (models.Count < 2 || BradleyTerry.Fit(Sum(wins, models.Count), Prior) is not { } strengths)
            return [];
        var replicates = new List<double[]>(resamples);
        for (var b = 0; b < resamples; b++)
        {
            var random = new SplitMix64(SplitMix64.Derive(seed, 0x72616E6B, (ulong)b));
            var drawn = new double[wins.Count][,];
            for (var k = 0; k < drawn.Length; k++)
                drawn[k] = wins[random.NextInt(wins.Count)];
            // A resample without the items that connect two groups has no common scale.
            if (BradleyTerry.Fit(Sum(drawn, models.Count), Prior) is { } replicate)
                replicates.Add(replicate);
        }

        return
        [
            .. models
                .Select((model, i) => new RankedModel(model, Interval(strengths[i], [.. replicates.Select(r => r[i]).Order()])))
                .OrderByDescending(static m => m.Strength.Value)
                .ThenBy(static m => m.Model, StringComparer.Ordinal),
        ];
    }

    private static Share Interval(double value, double[] sorted) =>
        sorted.Length == 0
            ? new(value, double.NegativeInfinity, double.PositiveInfinity)
            : new(value, Quantile(sorted, 0.025), Quantile(sorted, 0.975));

    private static double Quantile(double[] sorted, double q)
    {
        var at = q * (sorted.Length - 1);
        var below = (int)at;
        return below + 1 < sorted.Length ? sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]) : sorted[below];
    }

    private static double[,] Sum(IReadOnlyList<double[,]> wins, int models)
    {
        var sum = new double[models, models];
        foreach (var item in wins)
        {
            for (var i = 0; i < models; i++)
            {
                for (var j = 0; j < models; j++)
                    sum[i, j] += item[i, j];
            }
        }

        return sum;
    }
}
