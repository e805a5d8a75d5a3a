using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;

namespace Retouch.Tests.Data;

/// <summary>Uniform pictures, some of them unreadable, with a gate that can block the readers.</summary>
internal sealed class FakeSource(int count, Func<int, bool>? broken = null, int width = 8, int height = 8) : IPictureSource
{
    private int _loads;

    public ManualResetEventSlim Gate { get; } = new(initialState: true);

    public int Loads => Volatile.Read(ref _loads);

    public int Count => count;

    public IReadOnlyList<string> Classes => ["even", "odd"];

    public Sample this[int index] => new($"{index}.png", index % 2, $"picture {index}");

    /// <summary>Suffix of all stamps; changing it changes all pictures.</summary>
    public string Version { get; set; } = "";

    public string Stamp(int index) => $"{index}{Version}";

    public SourcePicture Load(int index, int minSide = 0)
    {
        Interlocked.Increment(ref _loads);
        Gate.Wait();
        if (broken?.Invoke(index) == true)
            throw new InputException($"'{index}.png' is broken.");
        return new SourcePicture(Picture.Filled(width, height, new Rgb((byte)index, (byte)(index / 2), 7)), width, height);
    }
}
