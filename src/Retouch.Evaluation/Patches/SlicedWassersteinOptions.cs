using Retouch.Core.Errors;

namespace Retouch.Evaluation.Patches;

/// <summary>Options of the sliced Wasserstein distance.</summary>
public sealed record SlicedWassersteinOptions
{
    /// <summary>Upper bound of a set's descriptors per level; at least one per picture.</summary>
    public const int MaxDescriptors = 1 << 16;

    /// <summary>Side of a patch in pixels; a descriptor contains all three channels.</summary>
    public int Patch { get; } = 7;

    /// <summary>Patches per picture and level, 1 to 4096; fewer beyond <see cref="MaxDescriptors"/>.</summary>
    [Bounds(AtLeast = 1, AtMost = 4096)]
    public int Patches { get; init; } = 128;

    /// <summary>Number of random projection directions, 1 to 65,536.</summary>
    [Bounds(AtLeast = 1, AtMost = 65_536)]
    public int Directions { get; init; } = 512;

    /// <summary>Smallest shorter side of the coarsest level, in pixels.</summary>
    public int SmallestLevel { get; } = 16;

    /// <summary>Seed of patches and directions.</summary>
    public ulong Seed { get; init; }

    /// <summary>Descriptors, for the protocol.</summary>
    public string Descriptors { get; } =
        "7 x 7 patches of a Laplacian pyramid (5 x 5 binomial filter), each channel less its mean over its deviation, by set and level";

    /// <summary>Checks the options.</summary>
    /// <param name="check">Receives the problems.</param>
    public void Validate(Requirements check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.Members(this);
    }

    /// <summary>Number of patches per picture of a set.</summary>
    internal int PatchesOf(int count) => Math.Clamp(MaxDescriptors / count, 1, Patches);
}
