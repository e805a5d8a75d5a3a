namespace Retouch.Samplers.Solvers;

/// <summary>
/// DDIM on the timesteps of diffusers' DDIMScheduler, which steps back by a whole stride regardless of the grid's rounding. The result
/// differs from DDIM if the number of steps does not divide the schedule; for comparison with pictures from diffusers.
/// </summary>
public sealed record DdimCompatible : Ddim
{
    /// <inheritdoc/>
    public override string Name => "ddim-compatible";

    /// <inheritdoc/>
    public override string Title => "DDIM on diffusers' timesteps";

    /// <inheritdoc/>
    public override bool KeepsStride => true;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Schedulers => [];
}
