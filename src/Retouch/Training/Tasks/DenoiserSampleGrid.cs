using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Torch;
using Retouch.Training.Conditions;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>Pictures drawn from a pipeline, by class or prompt.</summary>
/// <param name="pipeline">With the present weights; stays the caller's.</param>
/// <param name="conditions">What the pictures are of; stays the caller's.</param>
/// <param name="options">How many, how large, in how many steps.</param>
/// <param name="device">Where the networks are.</param>
internal sealed class DenoiserSampleGrid(
    LatentDiffusionPipeline pipeline,
    IConditionSource conditions,
    TrainingOptions options,
    Device device
) : ISampleGrid
{
    /// <inheritdoc/>
    public Picture Draw(CancellationToken cancellation)
    {
        var o = options.Samples;
        var request = new PipelineSampling
        {
            Seeds = PipelineSampling.SeedsFrom(o.Seed, o.Count),
            Steps = o.Steps,
            Guidance = new(o.Guidance ?? pipeline.DefaultGuidance(options.Data.Size, options.Data.Size)),
            Sampler = SchedulerConfig.ReadOrUsual(pipeline.SchedulerConfig).Options,
            Width = options.Data.Size,
            Height = options.Data.Size,
        };
        using var scope = TensorScope.Enter();
        if (conditions.Shown(o.Count, request.Height, request.Width) is var (told, unconditional))
            request = request with { Conditions = told, Unconditional = unconditional };
        return PictureGrid.Compose(PipelineSampler.Sample(pipeline, request, device, cancellation: cancellation));
    }
}
