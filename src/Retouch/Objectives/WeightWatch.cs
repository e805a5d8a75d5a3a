using System.Globalization;
using Retouch.Objectives.LatentPerceptual;

namespace Retouch.Objectives;

/// <summary>
/// Watches fixed weights over the first optimiser steps and says once where one drowns the diffusion loss: a gradient more than ten times
/// as large, or more than
/// half of the loss.
/// </summary>
internal sealed class WeightWatch
{
    /// <summary>Steps that are averaged before anything is said.</summary>
    public const int Steps = 20;

    private const double Wanted = LatentPerceptualOptions.DefaultGradientRatio;
    private const double LargestRatio = 10;
    private const double LargestShare = 0.5;
    private readonly Dictionary<string, (double Term, double Latent, double Weighted, double Total)> _sums = new(StringComparer.Ordinal);
    private int _steps;

    /// <summary>Takes note of a term in a micro-batch.</summary>
    /// <param name="name">The term's.</param>
    /// <param name="term">Its squared gradient norm, weighted; null where none was measured.</param>
    /// <param name="latent">The diffusion loss's, weighted.</param>
    /// <param name="weighted">Its value, weighted.</param>
    /// <param name="total">The total loss.</param>
    public void Observe(string name, double? term, double? latent, double weighted, double total)
    {
        if (_steps >= Steps)
            return;
        var sums = _sums.GetValueOrDefault(name);
        _sums[name] = (sums.Term + (term ?? 0), sums.Latent + (latent ?? 0), sums.Weighted + weighted, sums.Total + total);
    }

    /// <summary>The step is over.</summary>
    /// <param name="weights">The fixed weights, by term.</param>
    /// <returns>What a person should know, one sentence a term; usually nothing.</returns>
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
            var note = Said($"the weight {weight:R} of {name} makes {share:P0} of the loss ");
            note += Said($"and a gradient {ratio:G2} times that of the diffusion loss, over the first {Steps} steps.");
            if (ratio > 0)
            {
                note += Said($" {weight * Wanted / ratio:G2} would make the gradient {Wanted} times as large;");
                note += Said($" {{\"gradientRatio\": {Wanted}}} measures it.");
            }

            notes.Add(note);
        }

        return notes;
    }

    private static string Said(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
