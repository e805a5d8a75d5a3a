using Retouch.Core.Errors;
using Retouch.Denoisers.MmDit;
using Retouch.Denoisers.PixArt;
using Retouch.Denoisers.Sd3;
using Retouch.Denoisers.UNet;
using Retouch.Diffusion;

namespace Retouch.Pipelines.Diffusers;

public sealed partial class LatentDiffusionPipeline
{
    // Threshold between the defaults for 256 and 512 pixels, as the side of a square of equal area.
    private const double LargeSide = 384;

    /// <summary>
    /// Default guidance scale. Text-conditional: the default of the family's pipeline in diffusers. Class-conditional: 1.5, and 2 for
    /// pictures closer to 512 than to 256 pixels per side ([LPL], section 4). Unconditional: 1.
    /// </summary>
    /// <param name="width">Width of the pictures in pixels.</param>
    /// <param name="height">Height of the pictures in pixels.</param>
    public double DefaultGuidance(int width, int height) =>
        (Denoiser, Denoiser.TextWidth, Denoiser.ClassCount) switch
        {
            (Sd3Transformer2D, _, _) => 7,
            (PixArtTransformer2D, _, _) => 4.5,
            (UNet2DCondition { Config.AdditionEmbedType: not null }, not null, _) => 5,
            (_, not null, _) => 7.5,
            (_, _, not null) => Math.Sqrt((double)width * height) >= LargeSide ? 2 : 1.5,
            _ => 1,
        };

    /// <summary>
    /// Default density of training timesteps: mode sampling with heavy tails for flow MM-DiTs (Esser et al. 2024, section 3.1; used by
    /// [LPL] for its flow), else uniform.
    /// </summary>
    public TimestepDensity DefaultDensity =>
        Denoiser is Sd3Transformer2D or MmDitTransformer2D && CreateFormulation() is FlowFormulation
            ? TimestepDensity.Mode()
            : TimestepDensity.Uniform;

    /// <summary>
    /// Changes the noise schedule for another picture size: σ of every timestep is multiplied by the factor
    /// (<see cref="ScheduleScaling"/>).
    /// </summary>
    /// <param name="factor">Picture side over the side that the schedule was made for.</param>
    /// <exception cref="UsageException">The schedule already depends on the size.</exception>
    public void ScaleSchedule(double factor) =>
        SchedulerConfig = FormulationFactory.ToSchedulerConfig(ScheduleScaling.Scale(CreateFormulation(), factor), SchedulerConfig);
}
