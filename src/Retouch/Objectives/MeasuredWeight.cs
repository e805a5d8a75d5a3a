namespace Retouch.Objectives;

/// <summary>
/// A weight that is measured over a warm-up of optimiser steps and then frozen. Share: w = share/(1 − Σ shares) · Σ others/Σ term. Gradient
/// ratio: w = ratio · √(Σ‖g_latent‖²/Σ‖g_term‖²), with gradients at the network's output. Sums run over all samples of the previous steps,
/// so that the split into micro-batches has no effect; the weight of the first step is 0. Steps in which the term is zero (no sample passes
/// the gate) or not finite are skipped.
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

    /// <summary>State to save for an exact resume.</summary>
    public AutoWeightState State { get; set; } = new(0, 0, 0);

    /// <summary>Whether the warm-up is over and the weight is constant.</summary>
    public bool IsFrozen => State.Evaluations >= _warmUp;

    /// <summary>Whether gradient norms are measured, not values.</summary>
    public bool OfGradients { get; private init; }

    /// <summary>Current weight; 0 before the first observation of the term.</summary>
    public double Value => State.SumRaw > 0 ? _value(State.SumRaw, State.SumOthers) : 0;

    /// <summary>Creates a measured weight.</summary>
    /// <param name="weight">A share or a gradient ratio.</param>
    /// <param name="allShares">Sum of the shares of all terms with a share, below 1.</param>
    public static MeasuredWeight Of(TermWeight weight, double allShares)
    {
        if (weight.GradientRatio is { } ratio)
            return new((term, latent) => ratio * Math.Sqrt(latent / term), weight.WarmUp) { OfGradients = true };
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(allShares, 1);
        var factor = weight.Share!.Value / (1 - allShares);
        return new((term, others) => factor * others / term, weight.WarmUp);
    }

    /// <summary>Adds a micro-batch, unless the weight is frozen.</summary>
    /// <param name="term">Value of this term, or its squared gradient norm, unweighted.</param>
    /// <param name="others">Weighted sum of the terms with a fixed weight, or the squared gradient norm of the diffusion loss.</param>
    public void Observe(double term, double others)
    {
        if (!IsFrozen)
            (_term, _others) = (_term + term, _others + others);
    }

    /// <summary>Ends a step: its observations enter the weight of the next one.</summary>
    /// <returns>Whether this step froze the weight.</returns>
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

/// <summary>State of a measured weight.</summary>
/// <param name="Evaluations">Number of steps that were not skipped.</param>
/// <param name="SumRaw">Sum of the term (or of its squared gradient norm) over these steps.</param>
/// <param name="SumOthers">Sum of the value it is measured against.</param>
public sealed record AutoWeightState(long Evaluations, double SumRaw, double SumOthers);
