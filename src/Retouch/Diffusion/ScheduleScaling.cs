using Retouch.Core.Errors;

namespace Retouch.Diffusion;

/// <summary>
/// Noise schedules for pictures of another size. Where a picture has s times the side, noise of s times the deviation leaves as much of it
/// (Esser et al. 2024, section 5.3.2; Hoogeboom et al., "Simple Diffusion", 2023, section 3.1): σ(t) becomes s·σ(t). For a flow that is
/// its shift, t' = s·t/(1 + (s − 1)·t); for a DDPM schedule ᾱ' = ᾱ/(ᾱ + s²(1 − ᾱ)).
/// </summary>
public static class ScheduleScaling
{
    /// <summary>The formulation with every σ multiplied.</summary>
    /// <param name="formulation">The formulation.</param>
    /// <param name="factor">s, above 0; 1 changes nothing.</param>
    /// <exception cref="UsageException">The factor is out of range, or the schedule changes with the size by itself.</exception>
    public static Formulation Scale(Formulation formulation, double factor)
    {
        if (!(factor > 0 && double.IsFinite(factor)))
            throw new UsageException($"A noise schedule scaled by {factor}; it must be a number above 0 (1: as it is).");
        return formulation switch
        {
            FlowFormulation { Dynamic: not null } => throw new UsageException(
                "The noise schedule changes with the size of the picture by itself (use_dynamic_shifting); it is not to be scaled besides."
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
