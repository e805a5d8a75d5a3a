using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>Classifier-free guidance (Ho and Salimans 2022): away from what the network predicts without the condition.</summary>
/// <param name="Scale">1 follows the condition as it is, and then the network runs once instead of twice; above 1 exaggerates it.</param>
/// <param name="Rescale">φ of Lin et al. 2024, eq. 16: how far the guided output is brought back to the deviation of the conditional one, 0
/// to 1.</param>
public sealed record Guidance(double Scale = 1, double Rescale = 0)
{
    /// <summary>
    /// Below this share of the noisiest time the condition is followed as it is (Kynkäänniemi et al., "Applying Guidance in a Limited
    /// Interval Improves Sample and Distribution Quality in Diffusion Models", 2024), from 0; such steps run the network once.
    /// </summary>
    public double From { get; init; }

    /// <summary>Above this share of the noisiest time the condition is followed as it is; up to 1.</summary>
    public double To { get; init; } = 1;

    /// <summary>Whether the network has to run without the condition too.</summary>
    public bool IsActive => Scale != 1;

    /// <summary>Checks the numbers.</summary>
    /// <exception cref="UsageException">Out of range, or a rescaling of nothing.</exception>
    public void Validate()
    {
        if (!(Scale >= 0 && double.IsFinite(Scale)))
            throw new UsageException($"A guidance scale of {Scale}: it must be a number of at least 0 (1: none; usual are 1.5 to 7.5).");
        if (!(Rescale is >= 0 and <= 1))
            throw new UsageException($"A guidance rescale of {Rescale}: it must lie between 0 and 1.");
        if (Rescale > 0 && !IsActive)
            throw new UsageException("A guidance rescale does nothing while the guidance scale is 1.");
        if (!(From >= 0 && From < To && To <= 1))
            throw new UsageException(
                $"Guidance from {From} to {To} of the noisiest time: both lie between 0 and 1, the first below the second."
            );
        if (IsLimited && !IsActive)
            throw new UsageException("A guidance interval does nothing while the guidance scale is 1.");
    }

    private bool IsLimited => From > 0 || To < 1;

    /// <summary>Whether the network has to run without the condition at a level, which is the same for the whole batch.</summary>
    public bool AppliesAt(NoiseLevel level)
    {
        ArgumentNullException.ThrowIfNull(level);
        if (!IsActive || !IsLimited)
            return IsActive;
        using var scope = TensorScope.Enter();
        var share = level.T().Max().Item();
        return share >= From && share <= To;
    }

    /// <summary>uncond + scale·(cond − uncond), then rescaled. Linear in the outputs, hence the same for every parametrisation.</summary>
    /// <param name="conditional">[batch, channels, height, width].</param>
    /// <param name="unconditional">Of its shape.</param>
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
