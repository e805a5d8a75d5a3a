using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Images;
using Retouch.Samplers;
using Retouch.Torch;
using Retouch.Torch.Errors;

namespace Retouch.Checkpoints.Diffusers;

/// <summary>Which pictures are drawn from a pipeline.</summary>
public sealed record PipelineSampling
{
    /// <summary>Seed of each picture; a picture depends on its own seed and class alone.</summary>
    public required IReadOnlyList<ulong> Seeds { get; init; }

    /// <summary>Class of each picture; null lets the classes take turns. Only for class-conditional denoisers.</summary>
    public IReadOnlyList<int>? Labels { get; init; }

    /// <summary>Side of the square pictures, in pixels; divisible by the autoencoder's downsampling.</summary>
    public required int Size { get; init; }

    /// <summary>Sampler steps.</summary>
    public int Steps { get; init; } = 50;

    /// <summary>Scale of classifier-free guidance; 1 is none.</summary>
    public double Guidance { get; init; } = 1.5;

    /// <summary>The method; null takes what the pipeline's scheduler names.</summary>
    public SamplerOptions? Sampler { get; init; }

    /// <summary>Pictures at a time.</summary>
    public int BatchSize { get; init; } = 16;

    /// <summary>Seeds that count on from a first one.</summary>
    public static IReadOnlyList<ulong> SeedsFrom(ulong first, int count) => [.. Enumerable.Range(0, count).Select(k => first + (ulong)k)];
}

/// <summary>Draws pictures from a whole pipeline: latents from the denoiser, decoded.</summary>
public static class PipelineSampler
{
    /// <summary>Draws pictures.</summary>
    /// <param name="pipeline">With its weights on <paramref name="device"/>.</param>
    /// <param name="request">Which.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="progress">Called with sampler steps done and in all.</param>
    /// <param name="cancellation">Ends it between two steps.</param>
    /// <returns>One picture a seed, in their order.</returns>
    /// <exception cref="UsageException">The size does not fit the autoencoder, or a class does not exist.</exception>
    public static IReadOnlyList<Picture> Sample(
        LatentDiffusionPipeline pipeline, PipelineSampling request, Device device, Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(pipeline);
        ArgumentNullException.ThrowIfNull(request);
        if (request.Size < 1 || request.Size % pipeline.Autoencoder.Downsampling != 0)
            throw new UsageException($"Pictures of {request.Size} pixels cannot be decoded: the side must be divisible by {pipeline.Autoencoder.Downsampling}.");
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var sampler = new Sampler(pipeline.CreateFormulation(), request.Sampler ?? SamplerOptions.FromSchedulerConfig(pipeline.SchedulerConfig));
        var side = request.Size / pipeline.Autoencoder.Downsampling;
        var latents = sampler.Sample(
            pipeline.Denoiser,
            new SamplingRequest
            {
                Seeds = request.Seeds, Height = side, Width = side, Condition = ConditionOf(pipeline, request, device), Steps = request.Steps,
                Guidance = new Guidance(request.Guidance), BatchSize = request.BatchSize, Device = device,
            },
            progress is null ? null : state => progress(state.Done, state.Total),
            cancellation);
        var pictures = new List<Picture>();
        for (var first = 0; first < request.Seeds.Count; first += request.BatchSize)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = TensorScope.Enter();
            var part = latents.Value.Narrow(0, first, Math.Min(request.BatchSize, request.Seeds.Count - first));
            pictures.AddRange(PictureTensors.ToPictures(pipeline.Autoencoder.Decode(new Latent(part)).To(Device.Cpu)));
        }

        return pictures;
    }

    private static Condition ConditionOf(LatentDiffusionPipeline pipeline, PipelineSampling request, Device device)
    {
        if (pipeline.Denoiser.ClassCount is not { } classes)
            return request.Labels is null ? new Condition() : throw new UsageException("Classes were given, but this denoiser takes none.");
        var labels = request.Labels ?? [.. Enumerable.Range(0, request.Seeds.Count).Select(k => k % classes)];
        if (labels.Count != request.Seeds.Count)
            throw new UsageException($"{request.Seeds.Count} seeds, but {labels.Count} classes; give one class a picture.");
        if (labels.Any(l => l < 0 || l >= classes))
            throw new UsageException($"Class {labels.First(l => l < 0 || l >= classes)} does not exist; the denoiser knows 0 to {classes - 1}.");
        return new Condition(Tensor.From(labels.Select(static l => (long)l).ToArray()).To(device));
    }
}
