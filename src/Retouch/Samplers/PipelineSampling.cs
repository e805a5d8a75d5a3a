using Retouch.Conditioning;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>Request for sampling from a pipeline.</summary>
public sealed record PipelineSampling
{
    /// <summary>
    /// Seed of each picture; its noise depends on no other seed. Other pictures in a batch of the same size have no effect; a different
    /// batch size, like a different processor, can select kernels with different rounding.
    /// </summary>
    public required IReadOnlyList<ulong> Seeds { get; init; }

    /// <summary>Class of each picture; null to cycle through the classes. Only for class-conditional denoisers.</summary>
    public IReadOnlyList<int>? Labels { get; init; }

    /// <summary>Condition of each picture, each of batch size 1 (objects may repeat); null for classes.</summary>
    public IReadOnlyList<Condition>? Conditions { get; init; }

    /// <summary>
    /// Unconditional condition of guidance, of batch size 1: the empty or a negative prompt. Null for "no class" of a class-conditional
    /// denoiser.
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

    /// <summary>Sampler; null for the model's default.</summary>
    public SamplerOptions? Sampler { get; init; }

    /// <summary>
    /// Compute type of matrix products and convolutions; the sampler's arithmetic is float32. A decoder that overflows in float16 runs in
    /// float32.
    /// </summary>
    public DType Precision { get; init; } = DType.Float32;

    /// <summary>Batch size.</summary>
    public int BatchSize { get; init; } = 16;

    /// <summary>The same request for some of its pictures.</summary>
    /// <param name="first">Number of pictures to skip; with <see cref="Labels"/> null the cycle of classes would restart.</param>
    /// <param name="count">Number of pictures.</param>
    public PipelineSampling Part(int first, int count) =>
        this with
        {
            Seeds = [.. Seeds.Skip(first).Take(count)],
            Labels = Labels is null ? null : [.. Labels.Skip(first).Take(count)],
            Conditions = Conditions is null ? null : [.. Conditions.Skip(first).Take(count)],
        };

    /// <summary>Consecutive seeds.</summary>
    public static IReadOnlyList<ulong> SeedsFrom(ulong first, int count) => [.. Enumerable.Range(0, count).Select(k => first + (ulong)k)];
}
