namespace Retouch.Objectives;

/// <summary>
/// Scales a term so that it makes a given share of the total: w = share/(1 − Σ shares) · (the other terms, weighted)/(this term), both
/// averaged over the evaluations so far, frozen after the warm-up. Evaluations in which the term is zero (no sample under the gate) or not
/// finite do not count.
/// </summary>
public sealed class AutoWeight
{
    /// <summary>The share that is aimed at where none is given: about a fifth, as [LPL] has at w = 3.</summary>
    public const double DefaultShare = 0.2;

    /// <summary>Evaluations until the weight is frozen, where no number is given.</summary>
    public const int DefaultWarmUp = 200;

    private readonly double _factor;
    private readonly int _warmUp;

    /// <param name="share">Wanted part of the total, in (0, 1).</param>
    /// <param name="allShares">Sum of the shares of all terms that are scaled, this one included; below 1.</param>
    /// <param name="warmUp">Evaluations until the weight is frozen, at least 1.</param>
    public AutoWeight(double share, double allShares, int warmUp)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(share);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(allShares, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(warmUp, 1);
        _factor = share / (1 - allShares);
        _warmUp = warmUp;
    }

    /// <summary>What has to be saved for an exact resume.</summary>
    public AutoWeightState State { get; set; } = new(0, 0, 0);

    /// <summary>Whether the weight no longer changes.</summary>
    public bool IsFrozen => State.Evaluations >= _warmUp;

    /// <summary>The weight now; 0 until the term was seen at all.</summary>
    public double Value => State.SumRaw > 0 ? _factor * State.SumOthers / State.SumRaw : 0;

    /// <summary>Takes note of one evaluation, unless the weight is frozen.</summary>
    /// <param name="raw">This term, unweighted.</param>
    /// <param name="others">The terms of fixed weight, weighted and added up.</param>
    public void Observe(double raw, double others)
    {
        if (!IsFrozen && raw > 0 && others > 0 && double.IsFinite(raw) && double.IsFinite(others))
            State = new(State.Evaluations + 1, State.SumRaw + raw, State.SumOthers + others);
    }
}

/// <summary>The memory of an <see cref="AutoWeight"/>.</summary>
/// <param name="Evaluations">How many counted.</param>
/// <param name="SumRaw">Sum of the term over them.</param>
/// <param name="SumOthers">Sum of the other terms over them.</param>
public sealed record AutoWeightState(long Evaluations, double SumRaw, double SumOthers);
