using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>Request for sampling latents.</summary>
public sealed record SamplingRequest
{
    /// <summary>
    /// Seed of each picture; its noise depends on no other seed. <see cref="BatchSize"/> only affects rounding, through the choice of
    /// kernels.
    /// </summary>
    public required IReadOnlyList<ulong> Seeds { get; init; }

    /// <summary>Height of the latents.</summary>
    public required int Height { get; init; }

    /// <summary>Width of the latents.</summary>
    public required int Width { get; init; }

    /// <summary>Condition of all pictures.</summary>
    public required Condition Condition { get; init; }

    /// <summary>Unconditional condition of guidance for all pictures; null for "no class" of a class-conditional network.</summary>
    public Condition? Unconditional { get; init; }

    /// <summary>
    /// Sampler steps, with one network evaluation per step and batch (Heun: two, except in the last step; PNDM: two in the first).
    /// </summary>
    public int Steps { get; init; } = 50;

    /// <summary>Classifier-free guidance.</summary>
    public Guidance Guidance { get; init; } = new();

    /// <summary>Batch size; null for all pictures at once.</summary>
    public int? BatchSize { get; init; }

    /// <summary>Device of the network.</summary>
    public Device Device { get; init; } = Device.Cpu;
}

/// <summary>Progress of a request.</summary>
/// <param name="First">Index of the first picture of the current batch.</param>
/// <param name="State">State of that batch.</param>
/// <param name="Done">Completed steps over all batches.</param>
/// <param name="Total">Total steps over all batches.</param>
public sealed record SamplingProgress(int First, SamplingState State, int Done, int Total);

/// <summary>Samples latents from a denoiser.</summary>
public sealed class Sampler
{
    private readonly Formulation _formulation;
    private readonly SamplerOptions _options;

    /// <param name="formulation">Formulation of the network.</param>
    /// <param name="options">Sampler options.</param>
    /// <exception cref="UsageException">The options do not fit the formulation.</exception>
    public Sampler(Formulation formulation, SamplerOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate(formulation) is { Count: > 0 } problems)
            throw new UsageException(string.Join('\n', problems));
        (_formulation, _options) = (formulation, options);
    }

    /// <summary>Samples latents, without autograd.</summary>
    /// <param name="denoiser">Network on the request's device.</param>
    /// <param name="request">Sampling request.</param>
    /// <param name="progress">Called after each step of each batch.</param>
    /// <param name="cancellation">Cancels between two steps.</param>
    /// <returns>[seeds, channels, height, width] on the request's device.</returns>
    /// <exception cref="UsageException">The request is invalid.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public Latent Sample(
        IDenoiser denoiser,
        SamplingRequest request,
        Action<SamplingProgress>? progress = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(denoiser);
        ArgumentNullException.ThrowIfNull(request);
        var size = Check(request);
        var plan = SamplingPlan.Create(_formulation, _options, request.Steps, DynamicShift.Tokens(request.Height, request.Width));
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var unconditional = request.Guidance.IsActive
            ? request.Unconditional ?? NoClass(denoiser, request.Seeds.Count, request.Device)
            : null;
        var model = new DenoiserModel(denoiser, _formulation);
        var loop = new SamplingLoop(_options, plan);
        var batches = (request.Seeds.Count + size - 1) / size;
        List<Tensor> results = [];
        for (var batch = 0; batch < batches; batch++)
        {
            var first = batch * size;
            var count = Math.Min(size, request.Seeds.Count - first);
            var done = batch * plan.Steps.Count;
            var conditional = request.Condition.Narrow(first, count);
            var negative = unconditional?.Narrow(first, count);
            using var noise = new ImageNoise(
                [.. request.Seeds.Skip(first).Take(count)],
                [denoiser.LatentChannels, request.Height, request.Width],
                request.Device
            );
            results.Add(
                loop.Run(
                    negative is null ? model : new GuidedModel(model, request.Guidance, negative),
                    conditional,
                    noise.Draw,
                    progress is null ? null : state => progress(new(first, state, done + state.Step, batches * plan.Steps.Count)),
                    cancellation
                ).Value
            );
        }

        return new Latent(scope.Keep(results.Count == 1 ? results[0] : Ops.Cat([.. results])));
    }

    private static int Check(SamplingRequest request)
    {
        request.Guidance.Validate();
        var pictures = request.Seeds.Count;
        if (pictures < 1 || request.Height < 1 || request.Width < 1 || request.BatchSize is < 1)
            throw new UsageException(
                $"{pictures} pictures with latents of {request.Height} by {request.Width}, batch size "
                    + $"{request.BatchSize ?? pictures}: all must be at least 1."
            );
        foreach (var condition in (Condition?[])[request.Condition, request.Unconditional])
        {
            if (condition?.Batch is { } size && size != pictures)
                throw new UsageException($"{pictures} seeds, but conditions for {size} pictures.");
        }

        if (request.Guidance.IsActive && request.Unconditional is { } negative && request.Condition.Mismatch(negative) is { } member)
            throw new UsageException(
                $"The conditional and the unconditional condition differ in {member}: both need the same members, of the same "
                    + $"shape (prompts padded to the same length)."
            );
        return request.BatchSize ?? pictures;
    }

    private static Condition NoClass(IDenoiser denoiser, int pictures, Device device) =>
        denoiser.ClassCount is { } classes
            ? new Condition(Ops.Full([pictures], (long)classes, dtype: DType.Int64).To(device))
            : throw new UsageException(
                "Guidance needs an unconditional condition (the empty prompt's) for a network without classes; give one, or set "
                    + "the guidance scale to 1."
            );
}
