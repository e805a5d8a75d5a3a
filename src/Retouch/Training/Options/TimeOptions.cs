using System.ComponentModel;
using Retouch.Core.Errors;
using Retouch.Diffusion;

namespace Retouch.Training.Options;

/// <summary>Where on the way from picture to noise training looks (Esser et al. 2024, section 3.1).</summary>
public sealed record TimeOptions
{
    /// <summary>The density's family.</summary>
    [Description("uniform, logit-normal or mode.")]
    public TimestepDensityKind Density { get; init; } = TimestepDensityKind.Uniform;

    /// <summary>m of the logit-normal density; null is 0.</summary>
    [Description("Mean of the logit-normal density.")]
    public double? LogitMean { get; init; }

    /// <summary>s of the logit-normal density, above 0; null is 1.</summary>
    [Description("Deviation of the logit-normal density.")]
    public double? LogitDeviation { get; init; }

    /// <summary>s of mode sampling with heavy tails; null is 1.29.</summary>
    [Description("Scale of mode sampling.")]
    public double? ModeScale { get; init; }

    /// <summary>The density that these options name.</summary>
    public TimestepDensity ToDensity() =>
        Density switch
        {
            TimestepDensityKind.LogitNormal => TimestepDensity.LogitNormal(LogitMean ?? 0, LogitDeviation ?? 1),
            TimestepDensityKind.Mode => ModeScale is { } scale ? TimestepDensity.Mode(scale) : TimestepDensity.Mode(),
            _ => TimestepDensity.Uniform,
        };

    internal void Validate(Action<bool, string> require)
    {
        require(
            Density == TimestepDensityKind.LogitNormal || (LogitMean is null && LogitDeviation is null),
            "times.logitMean and times.logitDeviation are for the logit-normal density; they would do nothing"
        );
        require(Density == TimestepDensityKind.Mode || ModeScale is null, "times.modeScale is for mode sampling; it would do nothing");
        try
        {
            _ = ToDensity();
        }
        catch (UsageException e)
        {
            require(false, "times: " + e.Message);
        }
    }
}
