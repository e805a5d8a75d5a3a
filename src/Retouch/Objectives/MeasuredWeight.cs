using System.Text.Json.Serialization;

namespace Retouch.Objectives;

/// <summary>
/// A weight that is measured over a warm-up of optimiser steps and then frozen. Share: w = share/(1 − Σ shares) · Σ others/Σ term, with
/// sums over all samples of the previous steps. Gradient ratio: w = ratio · median over the previous steps of ‖g_latent‖/‖g_term‖, with
/// gradients at the network's output. A step is measured as a whole, so that the split into micro-batches has no effect; the weight of
/// the first step is 0. Steps in which the term is zero (no sample passes the gate) or not finite are skipped.
/// </summary>
/// <remarks>
/// The median, because norms of decoded losses are heavy-tailed: a sample with an almost constant feature map can have 100 times the usual
/// gradient, and would decide a mean (docs/results/lpl.md).
/// </remarks>
internal sealed class MeasuredWeight
{
    private readonly Func<AutoWeightState, double> _value;
    private readonly int _warmUp;
    private double _term;
    private double _others;

    private MeasuredWeight(Func<AutoWeightState, double> value, int? warmUp)
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
    public double Value => State.Evaluations > 0 ? _value(State) : 0;

    /// <summary>Creates a measured weight.</summary>
    /// <param name="weight">A share or a gradient ratio.</param>
    /// <param name="allShares">Sum of the shares of all terms with a share, below 1.</param>
    public static MeasuredWeight Of(TermWeight weight, double allShares)
    {
        if (weight.GradientRatio is { } ratio)
            return new(state => ratio * Typical(state), weight.WarmUp) { OfGradients = true };
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(allShares, 1);
        var factor = weight.Share!.Value / (1 - allShares);
        return new(state => factor * state.SumOthers / state.SumRaw, weight.WarmUp);
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
        var ofSteps = OfGradients && (State.Evaluations == 0 || State.Ratios is not null);
        State = new(State.Evaluations + 1, State.SumRaw + term, State.SumOthers + others)
        {
            Ratios = ofSteps ? [.. State.Ratios ?? [], Math.Sqrt(others / term)] : null,
        };
        return IsFrozen;
    }

    /// <summary>Median ratio of the steps; the ratio of the sums for a state of a version that saved no single steps.</summary>
    private static double Typical(AutoWeightState state)
    {
        if (state.Ratios is not { } ratios)
            return Math.Sqrt(state.SumOthers / state.SumRaw);
        double[] ascending = [.. ratios.Order()];
        return (ascending[(ascending.Length - 1) / 2] + ascending[ascending.Length / 2]) / 2;
    }
}

/// <summary>State of a measured weight.</summary>
/// <param name="Evaluations">Number of steps that were not skipped.</param>
/// <param name="SumRaw">Sum of the term (or of its squared gradient norm) over these steps.</param>
/// <param name="SumOthers">Sum of the value it is measured against.</param>
public sealed record AutoWeightState(long Evaluations, double SumRaw, double SumOthers)
{
    /// <summary>With a gradient ratio: norm of the diffusion loss's gradient over the term's, step by step.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? Ratios { get; init; }
}
