using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>Which pictures are drawn.</summary>
public sealed record SamplingRequest
{
    /// <summary>
    /// One a picture, whose noise is its own seed's alone. What <see cref="BatchSize"/> changes is rounding: it decides the
    /// kernels.
    /// </summary>
    public required IReadOnlyList<ulong> Seeds { get; init; }

    /// <summary>Height of the latents.</summary>
    public required int Height { get; init; }

    /// <summary>Width of the latents.</summary>
    public required int Width { get; init; }

    /// <summary>What the network is told, for all pictures.</summary>
    public required Condition Condition { get; init; }

    /// <summary>What guidance moves away from, for all pictures; null: "no class" of a class-conditional network.</summary>
    public Condition? Unconditional { get; init; }

    /// <summary>Steps; the network runs once a step and batch (Heun: twice, but for the last step; PNDM: twice in the first).</summary>
    public int Steps { get; init; } = 50;

    /// <summary>Classifier-free guidance.</summary>
    public Guidance Guidance { get; init; } = new();

    /// <summary>Pictures at a time; null: all at once.</summary>
    public int? BatchSize { get; init; }

    /// <summary>Where the network is.</summary>
    public Device Device { get; init; } = Device.Cpu;
}

/// <summary>Progress of a request.</summary>
/// <param name="First">The first picture of the batch under way.</param>
/// <param name="State">Where that batch is.</param>
/// <param name="Done">Steps done of all batches.</param>
/// <param name="Total">Steps of all batches.</param>
public sealed record SamplingProgress(int First, SamplingState State, int Done, int Total);

/// <summary>Draws latents from a denoiser.</summary>
public sealed class Sampler
{
    private readonly Formulation _formulation;
    private readonly SamplerOptions _options;

    /// <param name="formulation">How the network's predictions are read.</param>
    /// <param name="options">The method.</param>
    /// <exception cref="UsageException">The options do not go with the formulation.</exception>
    public Sampler(Formulation formulation, SamplerOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate(formulation) is { Count: > 0 } problems)
            throw new UsageException(string.Join('\n', problems));
        (_formulation, _options) = (formulation, options);
    }

    /// <summary>Draws latents, without a graph.</summary>
    /// <param name="denoiser">The network, on the request's device.</param>
    /// <param name="request">Which.</param>
    /// <param name="progress">Called after each step of each batch.</param>
    /// <param name="cancellation">Ends it between two steps.</param>
    /// <returns>[seeds, channels, height, width] on the request's device.</returns>
    /// <exception cref="UsageException">The request makes no sense.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
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
            var (told, untold) = (request.Condition.Narrow(first, count), unconditional?.Narrow(first, count));
            using var noise = new ImageNoise(
                [.. request.Seeds.Skip(first).Take(count)],
                [denoiser.LatentChannels, request.Height, request.Width],
                request.Device
            );
            results.Add(
                loop.Run(
                    untold is null ? model : new GuidedModel(model, request.Guidance, untold),
                    told,
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
                $"{pictures} pictures with latents of {request.Height} by {request.Width}, {request.BatchSize ?? pictures} at a "
                    + $"time: all must be at least 1."
            );
        foreach (var condition in (Condition?[])[request.Condition, request.Unconditional])
        {
            if (condition?.Batch is { } told && told != pictures)
                throw new UsageException($"{pictures} seeds, but conditions for {told} pictures.");
        }

        if (request.Guidance.IsActive && request.Unconditional is { } untold && request.Condition.Mismatch(untold) is { } member)
            throw new UsageException(
                $"The condition and what guidance moves away from differ in {member}: both need the same members, of the same "
                    + $"shape (texts padded alike)."
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
