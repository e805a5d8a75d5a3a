using Retouch.Core.Errors;

namespace Retouch.Evaluation;

/// <summary>How the sliced Wasserstein distance is taken.</summary>
public sealed record SlicedWassersteinOptions
{
    /// <summary>Descriptors of a set and level, unless every picture gives one alone.</summary>
    public const int MaxDescriptors = 1 << 16;

    /// <summary>Side of a patch; with its three colours it is a descriptor.</summary>
    public int Patch { get; } = 7;

    /// <summary>Patches of a picture and level at most; fewer where the set would give over <see cref="MaxDescriptors"/>.</summary>
    public int Patches { get; init; } = 128;

    /// <summary>Random directions that descriptors are projected to.</summary>
    public int Directions { get; init; } = 512;

    /// <summary>The coarsest level's shorter side is at least this.</summary>
    public int SmallestLevel { get; } = 16;

    /// <summary>Decides patches and directions.</summary>
    public ulong Seed { get; init; }

    /// <summary>What is compared.</summary>
    public string Descriptors { get; } =
        "7 x 7 patches of a Laplacian pyramid (5 x 5 binomial filter), each channel less its mean over its deviation, by set and level";

    /// <summary>Checks the options.</summary>
    /// <exception cref="UsageException">One is out of range.</exception>
    public void Validate()
    {
        if (Patches is < 1 or > 4096)
            throw new UsageException($"{Patches} patches of a picture are asked for; 1 to 4096 are possible.");
        if (Directions is < 1 or > 65536)
            throw new UsageException($"{Directions} directions are asked for; 1 to 65536 are possible.");
    }

    /// <summary>Patches that each picture of a set gives.</summary>
    internal int PatchesOf(int count) => Math.Clamp(MaxDescriptors / count, 1, Patches);
}
