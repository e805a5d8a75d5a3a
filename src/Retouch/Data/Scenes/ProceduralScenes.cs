using System.Globalization;
using Retouch.Core.Errors;

namespace Retouch.Data.Scenes;

/// <summary>Disjoint sets of scenes.</summary>
public enum SceneSplit
{
    /// <summary>Training set.</summary>
    Train = 0,

    /// <summary>Validation set, for choosing options.</summary>
    Validation = 1,

    /// <summary>Test set, for measurements.</summary>
    Test = 2,
}

/// <summary>
/// Procedurally drawn pictures with captions in ten classes, of any size and number: a coloured, finely textured object on a finely
/// textured ground. For use without photos, and for small models that are trained in minutes. The same seed gives the same bytes on
/// every machine.
/// </summary>
public sealed class ProceduralScenes : IPictureSource
{
    private readonly ulong _seed;

    /// <param name="seed">Seed of all scenes.</param>
    /// <param name="size">Side in pixels, 16 to 4096.</param>
    /// <param name="count">Number of scenes, at least 1.</param>
    /// <param name="split">Split; scenes of different splits have different seeds, whatever the counts.</param>
    /// <exception cref="UsageException">Size or count is out of range.</exception>
    public ProceduralScenes(ulong seed, int size, int count, SceneSplit split = SceneSplit.Train)
    {
        if (size is < 16 or > 4096)
            throw new UsageException($"Scenes of {size} pixels were requested; the side must be from 16 to 4096.");
        if (count < 1)
            throw new UsageException($"{count} scenes were requested; at least 1 is needed.");
        _seed = SplitMix64.Derive(seed, 0x7363656E65, (ulong)split);
        Size = size;
        Count = count;
        Split = split;
    }

    /// <summary>Side in pixels.</summary>
    public int Size { get; }

    /// <summary>Split of the scenes.</summary>
    public SceneSplit Split { get; }

    /// <inheritdoc/>
    public int Count { get; }

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => Scene.Classes;

    /// <inheritdoc/>
    public Sample this[int index] =>
        new(
            $"{Split.ToString().ToLowerInvariant()}/{Scene.Classes[Label(index)].Replace(' ', '_')}_{index:D6}.png",
            Label(index),
            At(index).Caption
        );

    /// <summary>Seed and size.</summary>
    public string Stamp(int index) => string.Create(CultureInfo.InvariantCulture, $"{_seed:x}-{Size}");

    /// <summary>Draws a scene; <paramref name="minSide"/> is ignored.</summary>
    public SourcePicture Load(int index, int minSide = 0) => new(At(index).Draw(Size), Size, Size);

    // Labels cycle, so that every contiguous range of the set is balanced.
    private static int Label(int index) => index % Scene.Classes.Length;

    private Scene At(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        return new Scene(Label(index), SplitMix64.Derive(_seed, (ulong)index));
    }
}
