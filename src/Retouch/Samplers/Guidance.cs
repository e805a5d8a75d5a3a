using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>Classifier-free guidance (Ho and Salimans 2022): extrapolation away from the unconditional prediction.</summary>
/// <param name="Scale">Guidance scale, at least 0; 1 disables guidance, and the network then runs once per step instead of twice.</param>
/// <param name="Rescale">φ of Lin et al. 2024, eq. 16: rescaling of the guided output to the standard deviation of the conditional one, in
/// [0, 1].</param>
public sealed record Guidance(double Scale = 1, double Rescale = 0)
{
    /// <summary>
    /// Lower end of the guidance interval as a fraction of the noisiest timestep, from 0; below it guidance is off and the network runs
    /// once (Kynkäänniemi et al., "Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in Diffusion Models",
    /// 2024).
    /// </summary>
    public double From { get; init; }

    /// <summary>Upper end of the guidance interval as a fraction of the noisiest timestep, up to 1.</summary>
    public double To { get; init; } = 1;

    /// <summary>Whether the unconditional prediction is needed.</summary>
    public bool IsActive => Scale != 1;

    /// <summary>Validates the values.</summary>
    /// <exception cref="UsageException">A value is out of range or has no effect.</exception>
    public void Validate()
    {
        if (!(Scale >= 0 && double.IsFinite(Scale)))
            throw new UsageException(
                $"Guidance scale {Scale}: it must be a number, at least 0 (1 disables guidance; usual values are 1.5 to 7.5)."
            );
        if (!(Rescale is >= 0 and <= 1))
            throw new UsageException($"Guidance rescale {Rescale}: it must lie in [0, 1].");
        if (Rescale > 0 && !IsActive)
            throw new UsageException("Guidance rescale has no effect while the guidance scale is 1.");
        if (!(From >= 0 && From < To && To <= 1))
            throw new UsageException(
                $"Guidance interval {From} to {To}: both must lie in [0, 1], as fractions of the noisiest "
                    + "timestep, the first below the second."
            );
        if (IsLimited && !IsActive)
            throw new UsageException("A guidance interval has no effect while the guidance scale is 1.");
    }

    private bool IsLimited => From > 0 || To < 1;

    /// <summary>Whether the unconditional prediction is needed at a noise level, which is the same for the whole batch.</summary>
    public bool AppliesAt(NoiseLevel level)
    {
        ArgumentNullException.ThrowIfNull(level);
        if (!IsActive || !IsLimited)
            return IsActive;
        using var scope = TensorScope.Enter();
        var share = level.T().Max().Item();
        return share >= From && share <= To;
    }

    /// <summary>uncond + scale·(cond − uncond), then rescaled. Linear in the outputs, hence independent of the parametrisation.</summary>
    /// <param name="conditional">[batch, channels, height, width].</param>
    /// <param name="unconditional">[batch, channels, height, width].</param>
    public Tensor Combine(Tensor conditional, Tensor unconditional)
    {
        ArgumentNullException.ThrowIfNull(conditional);
        ArgumentNullException.ThrowIfNull(unconditional);
        using var scope = TensorScope.Enter();
        var guided = unconditional + ((conditional - unconditional) * Scale);
        if (Rescale == 0)
            return scope.Keep(guided);
        var ratio = Deviation(conditional) / Deviation(guided);
        return scope.Keep(guided * ((ratio * Rescale) + (1 - Rescale)));
    }

    private static Tensor Deviation(Tensor x) => x.Std([1L, 2, 3], correction: 1, keepdim: true);
}
