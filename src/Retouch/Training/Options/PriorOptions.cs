using Retouch.Core.Errors;

namespace Retouch.Training.Options;

/// <summary>Prior preservation: pictures of what the model already knows, in every batch, with a separate loss.</summary>
public sealed record PriorOptions
{
    /// <summary>Folder of the prior pictures, as data.folder; such as samples of the model (retouch sample).</summary>
    public string Folder { get; init; } = "";

    /// <summary>Caption of all prior pictures, in place of their captions. Default: their captions.</summary>
    public string? Prompt { get; init; }

    /// <summary>Weight of the diffusion loss of the prior pictures, more than 0.</summary>
    [Bounds(Above = 0)]
    public double Weight { get; init; } = 1;

    /// <summary>Prior pictures per micro-batch, in addition to batch.size, at least 1. Default: batch.size.</summary>
    [Bounds(AtLeast = 1)]
    public int? Size { get; init; }

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.That(!string.IsNullOrWhiteSpace(Folder), nameof(Folder), "is missing; give the folder of the prior pictures");
    }
}
