using Retouch.Core.Errors;
using Retouch.Diffusion;

namespace Retouch.Training.Options;

/// <summary>Distribution of training timesteps (Esser et al. 2024, section 3.1).</summary>
public sealed record TimeOptions
{
    /// <summary>Timestep density: uniform, logit-normal or mode. Default: mode for flow MM-DiTs, else uniform.</summary>
    public TimestepDensityKind? Density { get; init; }

    /// <summary>Mean m of the logit-normal density. Default 0.</summary>
    public double? LogitMean { get; init; }

    /// <summary>Standard deviation s of the logit-normal density, above 0. Default 1.</summary>
    public double? LogitDeviation { get; init; }

    /// <summary>Scale s of mode sampling with heavy tails. Default 1.29.</summary>
    public double? ModeScale { get; init; }

    /// <summary>
    /// Whether the timesteps of a step are equally spaced quantiles of the density with one random offset ("low-discrepancy sampler",
    /// Kingma et al., "Variational Diffusion Models", 2021), over all micro-batches and processes: each timestep has the density, but in
    /// any range, the gate of a decoded loss among them, the numbers of samples of two micro-batches differ by at most 1. Default: false,
    /// independent timesteps.
    /// </summary>
    public bool Stratified { get; init; }

    /// <summary>
    /// Image side in pixels that the model's noise schedule was made for: every sigma is multiplied by data.size over it, and the model is
    /// saved with that schedule. Default: schedule unchanged.
    /// </summary>
    [Bounds(AtLeast = 1)]
    public int? ScheduleFrom { get; init; }

    /// <summary>Timestep density of these options.</summary>
    /// <param name="usual">Default density.</param>
    public TimestepDensity ToDensity(TimestepDensity usual) =>
        Density switch
        {
            TimestepDensityKind.LogitNormal => TimestepDensity.LogitNormal(LogitMean ?? 0, LogitDeviation ?? 1),
            TimestepDensityKind.Mode => ModeScale is { } scale ? TimestepDensity.Mode(scale) : TimestepDensity.Mode(),
            TimestepDensityKind.Uniform => TimestepDensity.Uniform,
            _ => usual,
        };

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.That(
            Density == TimestepDensityKind.LogitNormal || (LogitMean is null && LogitDeviation is null),
            "times.logitMean and times.logitDeviation have no effect unless density is logit-normal; leave them out"
        );
        check.That(
            Density == TimestepDensityKind.Mode || ModeScale is null,
            "times.modeScale has no effect unless density is mode; leave it out"
        );
        try
        {
            _ = ToDensity(TimestepDensity.Uniform);
        }
        catch (UsageException e)
        {
            check.That(false, "times: " + e.Message);
        }
    }
}
