using Retouch.Core.Errors;

namespace Retouch.Training.Options;

/// <summary>Sample grids during training; seeds are fixed.</summary>
public sealed record SampleOptions
{
    private const long ShortestRun = 500;

    /// <summary>
    /// Steps between sample grids, at least 0; 0 disables them. The first grid shows the initial weights. Default: a quarter of the steps,
    /// from 500 steps on.
    /// </summary>
    [Bounds(AtLeast = 0)]
    public long? Every { get; init; }

    /// <summary>Pictures per grid, from 1 to 1024; class grids cycle through the classes of the data.</summary>
    [Bounds(AtLeast = 1, AtMost = 1024)]
    public int Count { get; init; } = 16;

    /// <summary>
    /// Prompts of the pictures, repeated in order; only for text-conditional denoisers. Default: the first captions of the data.
    /// </summary>
    public IReadOnlyList<string>? Prompts { get; init; }

    /// <summary>Sampler steps, from 1 to 1000.</summary>
    [Bounds(AtLeast = 1, AtMost = 1000)]
    public int Steps { get; init; } = 50;

    /// <summary>
    /// Scale of classifier-free guidance, at least 0; 1 disables it. Default: 1.5 for classes (2 at 512 pixels), for prompts the default
    /// of the model family.
    /// </summary>
    /// <remarks>The default is <c>LatentDiffusionPipeline.DefaultGuidance</c>.</remarks>
    [Bounds(AtLeast = 0)]
    public double? Guidance { get; init; }

    /// <summary>Seed of the first picture; later pictures use consecutive seeds.</summary>
    public ulong Seed { get; init; } = 1000;

    /// <summary>Default of <see cref="Every"/>.</summary>
    /// <param name="steps">Steps of the run.</param>
    internal static long Usual(long steps) => steps < ShortestRun ? 0 : steps / 4;

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.That(Prompts is null || Prompts.Count > 0, nameof(Prompts), "is empty; leave it out, or give at least one prompt");
    }
}
