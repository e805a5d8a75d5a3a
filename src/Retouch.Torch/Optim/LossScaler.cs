namespace Retouch.Torch.Optim;

/// <summary>
/// The scale that a float16 loss is multiplied by, so that small gradients do not vanish (Micikevicius et al., "Mixed Precision Training",
/// 2018, section 3.2), by the rule of PyTorch's <c>GradScaler</c>: a step whose gradients overflow is skipped and halves the scale; after
/// so many steps in a row that did not, it doubles. The scale is a power of two: in float32 it goes in and out of a gradient exactly.
/// </summary>
public sealed class LossScaler
{
    /// <summary>The scale to start with.</summary>
    public const double Initial = 65536;

    /// <summary>Steps without an overflow after which the scale grows.</summary>
    public const int DefaultInterval = 2000;

    private const double Growth = 2;
    private const double Backoff = 0.5;

    // Below this, float16's smallest normal number, even a loss of 1 would vanish: what overflows then is not the scale.
    private static readonly double s_smallest = Math.ScaleB(1, -14);

    private readonly int _interval;

    /// <param name="interval">Steps without an overflow after which the scale grows, at least 1.</param>
    /// <param name="state">Where an earlier one stopped; null starts anew.</param>
    public LossScaler(int interval = DefaultInterval, LossScalerState? state = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(interval, 1);
        _interval = interval;
        State = state ?? new LossScalerState(Initial, 0, 0);
    }

    /// <summary>What a checkpoint keeps.</summary>
    public LossScalerState State { get; private set; }

    /// <summary>What the loss is multiplied by.</summary>
    public double Scale => State.Scale;

    /// <summary>Steps that were skipped, in all.</summary>
    public long Skipped => State.Skipped;

    /// <summary>A step's gradients were finite, and it was taken.</summary>
    public void Took()
    {
        var steady = State.Steady + 1;
        if (steady < _interval)
        {
            State = State with { Steady = steady };
            return;
        }

        var grown = State.Scale * Growth;
        State = State with { Scale = float.IsFinite((float)grown) ? grown : State.Scale, Steady = 0 };
    }

    /// <summary>A step's gradients were not finite, and it was skipped.</summary>
    /// <returns>Whether a smaller scale can help; no state is changed where it cannot.</returns>
    public bool Skip()
    {
        var smaller = State.Scale * Backoff;
        if (smaller < s_smallest)
            return false;
        State = new LossScalerState(smaller, 0, State.Skipped + 1);
        return true;
    }
}

/// <summary>The state of a <see cref="LossScaler"/>.</summary>
/// <param name="Scale">What the loss is multiplied by.</param>
/// <param name="Steady">Steps in a row that did not overflow, since the scale last changed.</param>
/// <param name="Skipped">Steps that were skipped, in all.</param>
public sealed record LossScalerState(double Scale, int Steady, long Skipped);
