using Retouch.Core.Errors;

namespace Retouch.Diffusion;

/// <summary>
/// Noise schedules for a changed resolution. At s times the side length, noise of s times the standard deviation destroys the same
/// amount of information (Esser et al. 2024, section 5.3.2; Hoogeboom et al., "Simple Diffusion", 2023, section 3.1): σ(t) becomes
/// s·σ(t). For a flow this is the shift t' = s·t/(1 + (s − 1)·t); for a DDPM schedule ᾱ' = ᾱ/(ᾱ + s²(1 − ᾱ)).
/// </summary>
public static class ScheduleScaling
{
    /// <summary>Returns the formulation with every σ multiplied by a factor.</summary>
    /// <param name="formulation">Formulation to scale.</param>
    /// <param name="factor">Factor s, above 0; 1 for no change.</param>
    /// <exception cref="UsageException">The factor is not a finite number above 0, or the shift is dynamic.</exception>
    public static Formulation Scale(Formulation formulation, double factor)
    {
        if (!(factor > 0 && double.IsFinite(factor)))
            throw new UsageException($"A noise schedule scaled by {factor}: the factor must be a number above 0 (1: unchanged).");
        return formulation switch
        {
            FlowFormulation { Dynamic: not null } => throw new UsageException(
                "The noise schedule already depends on the image size (use_dynamic_shifting) and cannot be scaled as well."
            ),
            FlowFormulation flow => new FlowFormulation(flow.Density, flow.Shift * factor, flow.TrainSteps),
            DdpmFormulation ddpm => new DdpmFormulation(Scale(ddpm.Schedule, factor), ddpm.Prediction, ddpm.Density),
            _ => throw new ArgumentException($"{formulation} has no schedule.", nameof(formulation)),
        };
    }

    private static NoiseSchedule Scale(NoiseSchedule schedule, double factor)
    {
        if (factor == 1)
            return schedule;
        var betas = new float[schedule.Steps];
        var before = 1.0;
        for (var k = 0; k < betas.Length; k++)
        {
            double signal = schedule.AlphasCumprod[k];
            var scaled = signal / (signal + (factor * factor * (1 - signal)));
            betas[k] = (float)(1 - (scaled / before));
            before = scaled;
        }

        return NoiseSchedule.FromBetas(betas);
    }
}
