namespace Retouch.Samplers.Solvers;

/// <summary>
/// DDIM on the steps of diffusers' DDIMScheduler, which counts back by a whole stride whatever the grid rounds to. The two differ where the
/// steps do not divide the schedule: for comparisons with pictures that diffusers drew.
/// </summary>
public sealed record DdimCompatible : Ddim
{
    /// <inheritdoc/>
    public override string Name => "ddim-compatible";

    /// <inheritdoc/>
    public override string Title => "DDIM on diffusers' steps";

    /// <inheritdoc/>
    public override bool KeepsStride => true;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Schedulers => [];
}
