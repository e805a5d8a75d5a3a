using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Images;
using Retouch.Samplers;
using Retouch.Torch;

namespace Retouch.Pipelines.Diffusers;

/// <summary>Which pictures are drawn from a pipeline.</summary>
public sealed record PipelineSampling
{
    /// <summary>
    /// Seed of each picture: its noise is its own seed's alone. What else is drawn with it changes nothing in batches of the same size;
    /// another size, as another processor, may choose kernels that round otherwise.
    /// </summary>
    public required IReadOnlyList<ulong> Seeds { get; init; }

    /// <summary>Class of each picture; null lets the classes take turns. Only for class-conditional denoisers.</summary>
    public IReadOnlyList<int>? Labels { get; init; }

    /// <summary>
    /// What the denoiser is told for each picture, each of batch 1 (the same object may stand several times); null for classes.
    /// </summary>
    public IReadOnlyList<Condition>? Conditions { get; init; }

    /// <summary>
    /// What guidance moves away from, of batch 1: the empty prompt, or a negative one. Null: "no class" of a class-conditional denoiser.
    /// </summary>
    public Condition? Unconditional { get; init; }

    /// <summary>Width in pixels; divisible by the autoencoder's downsampling.</summary>
    public required int Width { get; init; }

    /// <summary>Height in pixels; divisible by the autoencoder's downsampling.</summary>
    public required int Height { get; init; }

    /// <summary>Sampler steps.</summary>
    public int Steps { get; init; } = 50;

    /// <summary>Classifier-free guidance.</summary>
    public Guidance Guidance { get; init; } = new(1.5);

    /// <summary>The method; null takes what the pipeline's scheduler names.</summary>
    public SamplerOptions? Sampler { get; init; }

    /// <summary>Pictures at a time.</summary>
    public int BatchSize { get; init; } = 16;

    /// <summary>The same without its first pictures.</summary>
    /// <param name="first">How many are left out; with classes that take turns unsaid (<see cref="Labels"/> null) these would begin
    /// anew.</param>
    public PipelineSampling From(int first) =>
        this with
        {
            Seeds = [.. Seeds.Skip(first)],
            Labels = Labels is null ? null : [.. Labels.Skip(first)],
            Conditions = Conditions is null ? null : [.. Conditions.Skip(first)],
        };

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
        LatentDiffusionPipeline pipeline,
        PipelineSampling request,
        Device device,
        Action<int, int>? progress = null,
        CancellationToken cancellation = default
    )
    {
        List<Picture> pictures = [];
        SampleBatches(pipeline, request, device, pictures.AddRange, progress, cancellation);
        return pictures;
    }

    /// <summary>Draws pictures and hands each batch over as soon as it is decoded.</summary>
    /// <param name="pipeline">With its weights on <paramref name="device"/>.</param>
    /// <param name="request">Which.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="take">Gets the next pictures, in the order of the seeds.</param>
    /// <param name="progress">Called with sampler steps done and in all.</param>
    /// <param name="cancellation">Ends it between two steps.</param>
    /// <exception cref="UsageException">The size does not fit the autoencoder, or a class does not exist.</exception>
    public static void SampleBatches(
        LatentDiffusionPipeline pipeline,
        PipelineSampling request,
        Device device,
        Action<IReadOnlyList<Picture>> take,
        Action<int, int>? progress = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(pipeline);
        ArgumentNullException.ThrowIfNull(take);
        var labels = Check(pipeline, request);
        using var quiet = Autograd.NoGrad();
        var sampler = new Sampler(
            pipeline.CreateFormulation(),
            request.Sampler ?? SamplerOptions.FromSchedulerConfig(pipeline.SchedulerConfig)
        );
        var (pictures, factor) = (request.Seeds.Count, pipeline.Autoencoder.Downsampling);
        var batches = (pictures + request.BatchSize - 1) / request.BatchSize;
        for (var batch = 0; batch < batches; batch++)
        {
            using var scope = TensorScope.Enter();
            var first = batch * request.BatchSize;
            var count = Math.Min(request.BatchSize, pictures - first);
            var done = batch;
            var latents = sampler.Sample(
                pipeline.Denoiser,
                new SamplingRequest
                {
                    Seeds = [.. request.Seeds.Skip(first).Take(count)],
                    Height = request.Height / factor,
                    Width = request.Width / factor,
                    Condition = ConditionOf(request, labels, first, count).To(device),
                    Unconditional =
                        request.Guidance.IsActive && request.Unconditional is { } untold
                            ? Condition.Cat([.. Enumerable.Repeat(untold, count)]).To(device)
                            : null,
                    Steps = request.Steps,
                    Guidance = request.Guidance,
                    Device = device,
                },
                progress is null ? null : state => progress((done * state.Total) + state.Done, batches * state.Total),
                cancellation
            );
            take(PictureTensors.ToPictures(pipeline.Autoencoder.Decode(latents).To(Device.Cpu)));
        }
    }

    /// <summary>The class of each picture; null where the denoiser takes none.</summary>
    private static IReadOnlyList<int>? Check(LatentDiffusionPipeline pipeline, PipelineSampling request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var factor = pipeline.Autoencoder.Downsampling;
        if (request.Width < 1 || request.Height < 1 || request.Width % factor != 0 || request.Height % factor != 0)
            throw new UsageException(
                $"Pictures of {request.Width} x {request.Height} pixels cannot be decoded: both sides must be divisible by {factor}."
            );
        if (request.BatchSize < 1 || request.Seeds.Count < 1)
            throw new UsageException($"{request.Seeds.Count} pictures, {request.BatchSize} at a time: both must be at least 1.");
        if (request.Conditions is { } told && (told.Count != request.Seeds.Count || request.Labels is not null))
            throw new UsageException(
                $"{request.Seeds.Count} seeds, but {told.Count} "
                    + $"conditions{(request.Labels is null ? "" : " and classes beside them")}; give one condition a picture."
            );
        if (request.Conditions is not null || pipeline.Denoiser.ClassCount is not { } classes)
            return request.Labels is null ? null : throw new UsageException("Classes were given, but this denoiser takes none.");
        var labels = request.Labels ?? [.. Enumerable.Range(0, request.Seeds.Count).Select(k => k % classes)];
        if (labels.Count != request.Seeds.Count)
            throw new UsageException($"{request.Seeds.Count} seeds, but {labels.Count} classes; give one class a picture.");
        if (labels.Any(l => l < 0 || l >= classes))
            throw new UsageException(
                $"Class {labels.First(l => l < 0 || l >= classes)} does not exist; the denoiser knows 0 to {classes - 1}."
            );
        return labels;
    }

    private static Condition ConditionOf(PipelineSampling request, IReadOnlyList<int>? labels, int first, int count) =>
        request.Conditions is { } told ? Condition.Cat([.. told.Skip(first).Take(count)])
        : labels is null ? new Condition()
        : new Condition(Tensor.From(labels.Skip(first).Take(count).Select(static l => (long)l).ToArray()));
}
