using System.ComponentModel;

namespace Retouch.Training.Options;

/// <summary>When and how samples are drawn while training; the seeds are the same every time.</summary>
public sealed record SampleOptions
{
    /// <summary>Steps between sample grids; 0 draws none.</summary>
    [Description("Steps between sample grids; 0 draws none.")]
    public long Every { get; init; }

    /// <summary>Pictures in the grid; classes take turns.</summary>
    [Description("Pictures in a grid.")]
    public int Count { get; init; } = 16;

    /// <summary>
    /// Prompts of the pictures, which take turns; only for denoisers that take prompts. Default: the first captions of the data.
    /// </summary>
    [Description("Prompts of the grid's pictures, which take turns; default: the first captions.")]
    public IReadOnlyList<string>? Prompts { get; init; }

    /// <summary>Sampler steps.</summary>
    [Description("Sampler steps.")]
    public int Steps { get; init; } = 50;

    /// <summary>Scale of classifier-free guidance; 1 is none, null the model's own
    /// (<c>LatentDiffusionPipeline.DefaultGuidance</c>).</summary>
    [Description(
        "Scale of classifier-free guidance; 1 is none. Default: 1.5 for classes (2 at 512 pixels), for prompts that of the model's family."
    )]
    public double? Guidance { get; init; }

    /// <summary>Seed of the first picture; the next ones count on.</summary>
    [Description("Seed of the first picture.")]
    public ulong Seed { get; init; } = 1000;

    internal void Validate(Action<bool, string> require)
    {
        require(Prompts is null || Prompts.Count > 0, "samples.prompts is empty; leave it out, or give at least one prompt");
        require(Every >= 0, $"samples.every is {Every}; it is at least 0");
        require(Count is >= 1 and <= 1024, $"samples.count is {Count}; it lies between 1 and 1024");
        require(Steps is >= 1 and <= 1000, $"samples.steps is {Steps}; it lies between 1 and 1000");
        require(Guidance is null or (>= 0 and < double.PositiveInfinity), $"samples.guidance is {Guidance}; it is at least 0");
    }
}
