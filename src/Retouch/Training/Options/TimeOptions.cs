using System.ComponentModel;
using Retouch.Core.Errors;
using Retouch.Diffusion;

namespace Retouch.Training.Options;

/// <summary>Where on the way from picture to noise training looks (Esser et al. 2024, section 3.1).</summary>
public sealed record TimeOptions
{
    /// <summary>The density's family; null is the model's own (<c>LatentDiffusionPipeline.DefaultDensity</c>).</summary>
    [Description("uniform, logit-normal or mode; default: mode for flows of MM-DiTs, else uniform.")]
    public TimestepDensityKind? Density { get; init; }

    /// <summary>m of the logit-normal density; null is 0.</summary>
    [Description("Mean of the logit-normal density.")]
    public double? LogitMean { get; init; }

    /// <summary>s of the logit-normal density, above 0; null is 1.</summary>
    [Description("Deviation of the logit-normal density.")]
    public double? LogitDeviation { get; init; }

    /// <summary>s of mode sampling with heavy tails; null is 1.29.</summary>
    [Description("Scale of mode sampling.")]
    public double? ModeScale { get; init; }

    /// <summary>
    /// Side of the pictures that the model's noise schedule was made for: σ of every step is multiplied by data.size over it, and the model
    /// is written with that schedule. Null leaves it.
    /// </summary>
    [Description("Side of the pictures that the model's noise schedule was made for: every sigma is multiplied by data.size over it.")]
    public int? ScheduleFrom { get; init; }

    /// <summary>The density that these options name.</summary>
    /// <param name="usual">Where they name none.</param>
    public TimestepDensity ToDensity(TimestepDensity usual) =>
        Density switch
        {
            TimestepDensityKind.LogitNormal => TimestepDensity.LogitNormal(LogitMean ?? 0, LogitDeviation ?? 1),
            TimestepDensityKind.Mode => ModeScale is { } scale ? TimestepDensity.Mode(scale) : TimestepDensity.Mode(),
            TimestepDensityKind.Uniform => TimestepDensity.Uniform,
            _ => usual,
        };

    internal void Validate(Action<bool, string> require)
    {
        require(
            Density == TimestepDensityKind.LogitNormal || (LogitMean is null && LogitDeviation is null),
            "times.logitMean and times.logitDeviation are for the logit-normal density; they would do nothing"
        );
        require(Density == TimestepDensityKind.Mode || ModeScale is null, "times.modeScale is for mode sampling; it would do nothing");
        require(ScheduleFrom is null or >= 1, $"times.scheduleFrom is {ScheduleFrom}; it is a side in pixels, at least 1");
        try
        {
            _ = ToDensity(TimestepDensity.Uniform);
        }
        catch (UsageException e)
        {
            require(false, "times: " + e.Message);
        }
    }
}
