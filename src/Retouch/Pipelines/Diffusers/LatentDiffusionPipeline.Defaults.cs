using Retouch.Core.Errors;
using Retouch.Denoisers.MmDit;
using Retouch.Denoisers.PixArt;
using Retouch.Denoisers.Sd3;
using Retouch.Denoisers.UNet;
using Retouch.Diffusion;

namespace Retouch.Pipelines.Diffusers;

public sealed partial class LatentDiffusionPipeline
{
    // Between 256 and 512 the nearer one, by the side of a square of as many pixels.
    private const double LargeSide = 384;

    /// <summary>
    /// The scale of classifier-free guidance that pictures are drawn with where nobody gives one. Told prompts: what the family's
    /// pipeline in
    /// diffusers takes. Told classes: 1.5, and 2 for pictures nearer to 512 than to 256 pixels a side ([LPL], section 4). Told nothing: 1.
    /// </summary>
    /// <param name="width">Of the pictures, in pixels.</param>
    /// <param name="height">Of the pictures, in pixels.</param>
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
    /// Where training looks where nobody says: at flows of MM-DiTs by mode sampling with heavy tails (Esser et al. 2024, section 3.1; how
    /// [LPL] trains its flow), else uniformly.
    /// </summary>
    public TimestepDensity DefaultDensity =>
        Denoiser is Sd3Transformer2D or MmDitTransformer2D && CreateFormulation() is FlowFormulation
            ? TimestepDensity.Mode()
            : TimestepDensity.Uniform;

    /// <summary>Changes the noise schedule for pictures of another size: σ of every step times the factor (<see
    /// cref="ScheduleScaling"/>).</summary>
    /// <param name="factor">The side of the pictures over that of the pictures that the schedule was made for.</param>
    /// <exception cref="UsageException">The schedule changes with the size by itself.</exception>
    public void ScaleSchedule(double factor) =>
        SchedulerConfig = FormulationFactory.ToSchedulerConfig(ScheduleScaling.Scale(CreateFormulation(), factor), SchedulerConfig);
}
