namespace Retouch.Objectives;

/// <summary>
/// A weight that is measured over a warm-up of optimiser steps and frozen then. As a share: w = share/(1 − Σ shares) · Σ others/Σ term. As
/// a gradient ratio:
/// w = ratio · √(Σ‖g_latent‖²/Σ‖g_term‖²), gradients at the network's output. Sums run over all samples of the steps so far, so that
/// cutting a step into
/// micro-batches changes nothing; the weight of a step is made of the steps before it, and 0 in the first. Steps in which the term is zero
/// (no
/// sample under the gate) or not finite do not count.
/// </summary>
internal sealed class MeasuredWeight
{
    private readonly Func<double, double, double> _value;
    private readonly int _warmUp;
    private double _term;
    private double _others;

    private MeasuredWeight(Func<double, double, double> value, int? warmUp)
    {
        _value = value;
        _warmUp = warmUp ?? TermWeight.DefaultWarmUp;
        ArgumentOutOfRangeException.ThrowIfLessThan(_warmUp, 1);
    }

    /// <summary>What has to be saved for an exact resume.</summary>
    public AutoWeightState State { get; set; } = new(0, 0, 0);

    /// <summary>Whether the weight no longer changes.</summary>
    public bool IsFrozen => State.Evaluations >= _warmUp;

    /// <summary>Whether gradients are what is measured, not values.</summary>
    public bool OfGradients { get; private init; }

    /// <summary>The weight now; 0 until the term was seen at all.</summary>
    public double Value => State.SumRaw > 0 ? _value(State.SumRaw, State.SumOthers) : 0;

    /// <summary>A measured weight.</summary>
    /// <param name="weight">A share or a gradient ratio.</param>
    /// <param name="allShares">Sum of the shares of all terms that are scaled to one, below 1.</param>
    public static MeasuredWeight Of(TermWeight weight, double allShares)
    {
        if (weight.GradientRatio is { } ratio)
            return new((term, latent) => ratio * Math.Sqrt(latent / term), weight.WarmUp) { OfGradients = true };
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(allShares, 1);
        var factor = weight.Share!.Value / (1 - allShares);
        return new((term, others) => factor * others / term, weight.WarmUp);
    }

    /// <summary>Takes note of a micro-batch, unless the weight is frozen.</summary>
    /// <param name="term">This term's value, or squared gradient norm, unweighted.</param>
    /// <param name="others">The terms of fixed weight, weighted and added up, or the diffusion loss's squared gradient norm.</param>
    public void Observe(double term, double others)
    {
        if (!IsFrozen)
            (_term, _others) = (_term + term, _others + others);
    }

    /// <summary>The step is over: what was observed in it counts from now on.</summary>
    /// <returns>Whether the weight was frozen by this.</returns>
    public bool Commit()
    {
        var (term, others) = (_term, _others);
        (_term, _others) = (0, 0);
        if (IsFrozen || !(term > 0 && others > 0 && double.IsFinite(term) && double.IsFinite(others)))
            return false;
        State = new(State.Evaluations + 1, State.SumRaw + term, State.SumOthers + others);
        return IsFrozen;
    }
}

/// <summary>The memory of a weight that is measured.</summary>
/// <param name="Evaluations">Optimiser steps that counted.</param>
/// <param name="SumRaw">Sum of the term (or of its squared gradient norm) over them.</param>
/// <param name="SumOthers">Sum of what it is compared with.</param>
public sealed record AutoWeightState(long Evaluations, double SumRaw, double SumOthers);
