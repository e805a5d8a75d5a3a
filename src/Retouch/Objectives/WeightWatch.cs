using System.Globalization;

namespace Retouch.Objectives;

/// <summary>
/// Checks fixed weights over the first optimiser steps and reports once if one dominates the diffusion loss: a gradient more than ten times
/// as large, or more than half of the total loss.
/// </summary>
internal sealed class WeightWatch
{
    /// <summary>Steps to average before a report.</summary>
    public const int Steps = 20;

    private const double Wanted = PixelOptions.DefaultGradientRatio;
    private const double LargestRatio = 10;
    private const double LargestShare = 0.5;
    private readonly Dictionary<string, (double Term, double Latent, double Weighted, double Total)> _sums = new(StringComparer.Ordinal);
    private int _steps;

    /// <summary>Adds a micro-batch of a term.</summary>
    /// <param name="name">Name of the term.</param>
    /// <param name="term">Squared gradient norm of the term, weighted, or null.</param>
    /// <param name="latent">Squared gradient norm of the diffusion loss, weighted, or null.</param>
    /// <param name="weighted">Weighted value of the term.</param>
    /// <param name="total">Total loss.</param>
    public void Observe(string name, double? term, double? latent, double weighted, double total)
    {
        if (_steps >= Steps)
            return;
        var sums = _sums.GetValueOrDefault(name);
        _sums[name] = (sums.Term + (term ?? 0), sums.Latent + (latent ?? 0), sums.Weighted + weighted, sums.Total + total);
    }

    /// <summary>Ends a step.</summary>
    /// <param name="weights">The fixed weights, by term.</param>
    /// <returns>User-facing notes, one sentence per term; usually empty.</returns>
    public IReadOnlyList<string> Commit(IReadOnlyDictionary<string, double> weights)
    {
        if (_steps >= Steps || ++_steps < Steps)
            return [];
        List<string> notes = [];
        foreach (var (name, weight) in weights)
        {
            if (!_sums.TryGetValue(name, out var sums))
                continue;
            var ratio = sums.Latent > 0 ? Math.Sqrt(sums.Term / sums.Latent) : 0;
            var share = sums.Total > 0 ? sums.Weighted / sums.Total : 0;
            if (ratio <= LargestRatio && share <= LargestShare)
                continue;
            var note = Said($"the weight {weight:R} of {name} accounts for {share:P0} of the loss ");
            note += Said($"and a gradient {ratio:G2} times that of the diffusion loss, over the first {Steps} steps.");
            if (ratio > 0)
            {
                note += Said($" {weight * Wanted / ratio:G2} would give a gradient {Wanted} times as large;");
                note += Said($" {{\"gradientRatio\": {Wanted}}} measures it.");
            }

            notes.Add(note);
        }

        return notes;
    }

    private static string Said(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
