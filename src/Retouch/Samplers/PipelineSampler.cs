using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>Sampling from a complete model: latents from the denoiser, decoded to pictures.</summary>
public static class PipelineSampler
{
    /// <summary>Samples pictures.</summary>
    /// <param name="model">Model with weights on <paramref name="device"/>.</param>
    /// <param name="request">Sampling request.</param>
    /// <param name="device">Compute device.</param>
    /// <param name="progress">Receives completed and total sampler steps.</param>
    /// <param name="cancellation">Cancels between two steps.</param>
    /// <returns>One picture per seed, in order.</returns>
    /// <exception cref="UsageException">The size does not fit the autoencoder, a class does not exist, or the model takes
    /// prompts and there are none.</exception>
    public static IReadOnlyList<Picture> Sample(
        ILatentDiffusionModel model,
        PipelineSampling request,
        Device device,
        Action<int, int>? progress = null,
        CancellationToken cancellation = default
    )
    {
        List<Picture> pictures = [];
        SampleBatches(model, request, device, pictures.AddRange, progress, cancellation);
        return pictures;
    }

    /// <summary>Samples pictures and passes each batch on as soon as it is decoded.</summary>
    /// <param name="model">Model with weights on <paramref name="device"/>.</param>
    /// <param name="request">Sampling request.</param>
    /// <param name="device">Compute device.</param>
    /// <param name="take">Receives the next pictures, in the order of the seeds.</param>
    /// <param name="progress">Receives completed and total sampler steps.</param>
    /// <param name="cancellation">Cancels between two steps.</param>
    /// <exception cref="UsageException">The size does not fit the autoencoder, a class does not exist, or the model takes
    /// prompts and there are none.</exception>
    public static void SampleBatches(
        ILatentDiffusionModel model,
        PipelineSampling request,
        Device device,
        Action<IReadOnlyList<Picture>> take,
        Action<int, int>? progress = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(take);
        var labels = LabelsOf(model, request);
        using var quiet = Autograd.NoGrad();
        var sampler = new Sampler(model.CreateModel().Formulation, request.Sampler ?? model.Sampler);
        var (pictures, factor) = (request.Seeds.Count, model.Autoencoder.Downsampling);
        var batches = (pictures + request.BatchSize - 1) / request.BatchSize;
        for (var batch = 0; batch < batches; batch++)
        {
            using var scope = TensorScope.Enter();
            var first = batch * request.BatchSize;
            var count = Math.Min(request.BatchSize, pictures - first);
            var done = batch;
            using var cast = Autocast.Enter(device, request.Precision);
            var latents = sampler.Sample(
                model.Denoiser,
                new SamplingRequest
                {
                    Seeds = [.. request.Seeds.Skip(first).Take(count)],
                    Height = request.Height / factor,
                    Width = request.Width / factor,
                    Condition = ConditionOf(request, labels, first, count).To(device),
                    Unconditional =
                        request.Guidance.IsActive && request.Unconditional is { } unconditional
                            ? Condition.Cat([.. Enumerable.Repeat(unconditional, count)]).To(device)
                            : null,
                    Steps = request.Steps,
                    Guidance = request.Guidance,
                    Device = device,
                },
                progress is null ? null : state => progress((done * state.Total) + state.Done, batches * state.Total),
                cancellation
            );
            using var decoderCast = Autocast.Enter(device, DecoderPrecision.Of(request.Precision, model.Autoencoder.ForceUpcast));
            take(PictureTensors.ToPictures(model.Autoencoder.Decode(latents).To(DType.Float32).To(Device.Cpu)));
        }
    }

    /// <summary>Class of each picture; null for denoisers without classes.</summary>
    /// <exception cref="UsageException">As by <see cref="Sample"/>.</exception>
    internal static IReadOnlyList<int>? LabelsOf(ILatentDiffusionModel model, PipelineSampling request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var factor = model.Autoencoder.Downsampling;
        if (request.Width < 1 || request.Height < 1 || request.Width % factor != 0 || request.Height % factor != 0)
            throw new UsageException(
                $"Pictures of {request.Width} x {request.Height} pixels cannot be decoded: both sides must be divisible by {factor}."
            );
        if (request.BatchSize < 1 || request.Seeds.Count < 1)
            throw new UsageException($"{request.Seeds.Count} pictures with batch size {request.BatchSize}: both must be at least 1.");
        if (request.Conditions is { } conditions && (conditions.Count != request.Seeds.Count || request.Labels is not null))
            throw new UsageException(
                $"{request.Seeds.Count} seeds, but {conditions.Count} "
                    + $"conditions{(request.Labels is null ? "" : " and classes as well")}; give one condition per picture."
            );
        if (request.Conditions is null && model.Denoiser.TextWidth is not null)
            throw new UsageException("This model needs prompts; give at least one (--prompt or --prompts on the command line).");
        if (request.Conditions is not null || model.Denoiser.ClassCount is not { } classes)
            return request.Labels is null
                ? null
                : throw new UsageException("Classes were given, but this denoiser is not class-conditional.");
        var labels = request.Labels ?? [.. Enumerable.Range(0, request.Seeds.Count).Select(k => k % classes)];
        if (labels.Count != request.Seeds.Count)
            throw new UsageException($"{request.Seeds.Count} seeds, but {labels.Count} classes; give one class per picture.");
        if (labels.Any(l => l < 0 || l >= classes))
            throw new UsageException(
                $"Class {labels.First(l => l < 0 || l >= classes)} does not exist; the denoiser has classes 0 to {classes - 1}."
            );
        return labels;
    }

    private static Condition ConditionOf(PipelineSampling request, IReadOnlyList<int>? labels, int first, int count) =>
        request.Conditions is { } conditions ? Condition.Cat([.. conditions.Skip(first).Take(count)])
        : labels is null ? new Condition()
        : new Condition(Tensor.From(labels.Skip(first).Take(count).Select(static l => (long)l).ToArray()));
}
