using Retouch.Conditioning;

namespace Retouch.Samplers;

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

    /// <summary>The method; null takes the model's own.</summary>
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
