using Retouch.Core.Errors;

namespace Retouch.Training.Options;

/// <summary>Prior preservation: pictures of what the model already knows, in every batch, with a separate loss.</summary>
public sealed record PriorOptions
{
    private const int UsualSteps = 50;

    /// <summary>
    /// Folder of the prior pictures, as data.folder. With count: folder of the drawn pictures, which later runs with the same settings use
    /// again; default: prior in the run's folder.
    /// </summary>
    public string? Folder { get; init; }

    /// <summary>
    /// Number of prior pictures, at least 1: those that folder lacks are drawn with the model of model.path before the first step.
    /// Default: the pictures of folder, none are drawn.
    /// </summary>
    [Bounds(AtLeast = 1)]
    public int? Count { get; init; }

    /// <summary>
    /// Caption of all prior pictures, in place of their captions; also the prompt of drawn pictures. Default: their captions.
    /// </summary>
    public string? Prompt { get; init; }

    /// <summary>Class of drawn pictures, by name or number, for class-conditional denoisers.</summary>
    public string? Class { get; init; }

    /// <summary>Sampler steps of drawn pictures, from 1 to 1000.</summary>
    [Bounds(AtLeast = 1, AtMost = 1000)]
    public int Steps { get; init; } = UsualSteps;

    /// <summary>Scale of classifier-free guidance of drawn pictures, at least 0; 1 disables it. Default: as in samples.</summary>
    [Bounds(AtLeast = 0)]
    public double? Guidance { get; init; }

    /// <summary>Weight of the diffusion loss of the prior pictures, more than 0.</summary>
    [Bounds(Above = 0)]
    public double Weight { get; init; } = 1;

    /// <summary>Prior pictures per micro-batch, in addition to batch.size, at least 1. Default: batch.size.</summary>
    [Bounds(AtLeast = 1)]
    public int? Size { get; init; }

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.That(
            Count is not null || !string.IsNullOrWhiteSpace(Folder),
            nameof(Folder),
            "is missing; give the folder of the prior pictures, or count and prompt, to draw them with the model"
        );
        check.That(Folder is null || Count is null || !string.IsNullOrWhiteSpace(Folder), nameof(Folder), "is empty; leave it out");
        check.That(
            Count is not null || (Class is null && Steps == UsualSteps && Guidance is null),
            "class, steps and guidance are for drawn pictures; they have no effect without count"
        );
        check.That(Class is null || Prompt is null, nameof(Class), "and prompt exclude each other: denoisers have classes or take prompts");
    }
}
