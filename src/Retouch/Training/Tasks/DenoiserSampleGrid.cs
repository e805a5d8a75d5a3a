using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Torch;
using Retouch.Training.Conditions;
using Retouch.Training.Distributed;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>Sample grid of a pipeline, by class or prompt.</summary>
/// <param name="pipeline">Pipeline with the current weights; not disposed here.</param>
/// <param name="conditions">Conditions of the pictures; not disposed here.</param>
/// <param name="options">Number, size and sampler steps.</param>
/// <param name="device">Device of the networks.</param>
/// <param name="world">All processes, which draw the pictures together; null for a single one.</param>
internal sealed class DenoiserSampleGrid(
    LatentDiffusionPipeline pipeline,
    IConditionSource conditions,
    TrainingOptions options,
    Device device,
    World? world = null
) : ISampleGrid
{
    /// <inheritdoc/>
    public bool IsShared => world is not null;

    /// <inheritdoc/>
    public Picture Draw(CancellationToken cancellation)
    {
        var o = options.Samples;
        var request = new PipelineSampling
        {
            Seeds = PipelineSampling.SeedsFrom(o.Seed, o.Count),
            Steps = o.Steps,
            Guidance = new(o.Guidance ?? pipeline.DefaultGuidance(options.Data.Side, options.Data.Side)),
            Sampler = SchedulerConfig.ReadOrUsual(pipeline.SchedulerConfig).Options,
            Width = options.Data.Side,
            Height = options.Data.Side,
            Precision = DTypes.Precisions[options.Precision],
        };
        using var scope = TensorScope.Enter();
        if (conditions.Shown(o.Count, request.Height, request.Width) is var (shown, unconditional))
            request = request with { Conditions = shown, Unconditional = unconditional };
        return PictureGrid.Compose(
            world is null
                ? PipelineSampler.Sample(pipeline, request, device, cancellation: cancellation)
                // An interruption ends all processes after the same step.
                : SharedSampling.Gather(pipeline, SharedSampling.InEqualShares(request, world), device, world, CancellationToken.None)
        );
    }
}
