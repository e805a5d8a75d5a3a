namespace Retouch.Torch.Optim;

/// <summary>
/// Dynamic loss scaling for float16, so that small gradients do not underflow (Micikevicius et al., "Mixed Precision Training", 2018,
/// section 3.2), with the rule of PyTorch's <c>GradScaler</c>: a step whose gradients overflow is skipped and halves the scale; after
/// an interval of steps without overflow, the scale doubles. The scale is a power of two, so scaling float32 gradients is exact.
/// </summary>
public sealed class LossScaler
{
    /// <summary>Initial scale.</summary>
    public const double Initial = 65536;

    /// <summary>Default number of steps without overflow before the scale grows.</summary>
    public const int DefaultInterval = 2000;

    private const double Growth = 2;
    private const double Backoff = 0.5;

    // Below float16's smallest normal number, even a loss of 1 would underflow: the scale is then not the cause of the overflow.
    private static readonly double Smallest = Math.ScaleB(1, -14);

    private readonly int _interval;

    /// <param name="interval">Number of steps without overflow before the scale grows, at least 1.</param>
    /// <param name="state">State to continue from; null for the initial state.</param>
    public LossScaler(int interval = DefaultInterval, LossScalerState? state = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(interval, 1);
        _interval = interval;
        State = state ?? new LossScalerState(Initial, 0, 0);
    }

    /// <summary>State for checkpoints.</summary>
    public LossScalerState State { get; private set; }

    /// <summary>Factor of the loss.</summary>
    public double Scale => State.Scale;

    /// <summary>Total number of skipped steps.</summary>
    public long Skipped => State.Skipped;

    /// <summary>Records a step with finite gradients.</summary>
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

    /// <summary>Records a skipped step, whose gradients were not finite.</summary>
    /// <returns>Whether the scale was reduced; false, with unchanged state, if it is already minimal.</returns>
    public bool Skip()
    {
        var smaller = State.Scale * Backoff;
        if (smaller < Smallest)
            return false;
        State = new LossScalerState(smaller, 0, State.Skipped + 1);
        return true;
    }
}

/// <summary>State of a <see cref="LossScaler"/>.</summary>
/// <param name="Scale">Factor of the loss.</param>
/// <param name="Steady">Consecutive steps without overflow since the scale last changed.</param>
/// <param name="Skipped">Total number of skipped steps.</param>
public sealed record LossScalerState(double Scale, int Steady, long Skipped);
