using System.Globalization;
using Retouch.Core.Errors;

namespace Retouch.Data.Scenes;

/// <summary>Sets of scenes that share no scene.</summary>
public enum SceneSplit
{
    /// <summary>To train on.</summary>
    Train = 0,

    /// <summary>To choose options by.</summary>
    Validation = 1,

    /// <summary>To measure on.</summary>
    Test = 2,
}

/// <summary>
/// Drawn pictures with captions in ten classes, made from a seed, of any size and number: one coloured, finely textured object on a
/// finely textured ground. They serve where no photos are at hand, and where a small model has to learn something in minutes. The same
/// seed gives the same bytes on every machine.
/// </summary>
public sealed class ProceduralScenes : IPictureSource
{
    private readonly ulong seed;

    /// <param name="seed">Decides all scenes.</param>
    /// <param name="size">Pixels of each side, 16 to 4096.</param>
    /// <param name="count">The number of scenes, at least 1.</param>
    /// <param name="split">Which set: scenes of different sets have seeds of their own, whatever the counts.</param>
    /// <exception cref="UsageException">Size or count is out of range.</exception>
    public ProceduralScenes(ulong seed, int size, int count, SceneSplit split = SceneSplit.Train)
    {
        if (size is < 16 or > 4096)
            throw new UsageException($"Scenes of {size} pixels are asked for; each side has 16 to 4096.");
        if (count < 1)
            throw new UsageException($"{count} scenes are asked for; at least 1 is needed.");
        this.seed = SplitMix64.Derive(seed, 0x7363656E65, (ulong)split);
        Size = size;
        Count = count;
        Split = split;
    }

    /// <summary>Pixels of each side.</summary>
    public int Size { get; }

    /// <summary>Which set.</summary>
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

    /// <summary>The seed and the size.</summary>
    public string Stamp(int index) => string.Create(CultureInfo.InvariantCulture, $"{seed:x}-{Size}");

    /// <summary>Draws a scene; <paramref name="minSide"/> changes nothing.</summary>
    public SourcePicture Load(int index, int minSide = 0) => new(At(index).Draw(Size), Size, Size);

    // Classes take turns, so that any stretch of the set is balanced.
    private static int Label(int index) => index % Scene.Classes.Length;

    private Scene At(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        return new Scene(Label(index), SplitMix64.Derive(seed, (ulong)index));
    }
}
