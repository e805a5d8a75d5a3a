using Retouch.Images;

namespace Retouch.Data;

/// <summary>Samples of one size, side by side.</summary>
public sealed class PictureBatch
{
    internal PictureBatch(int count, int width, int height, DataCursor next)
    {
        Width = width;
        Height = height;
        Next = next;
        Pixels = new byte[checked(count * Picture.Channels * width * height)];
        Samples = new Sample[count];
        Frames = new FrameRecord[count];
    }

    /// <summary>The number of samples.</summary>
    public int Count => Samples.Length;

    /// <summary>Pixels in a row.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>All pixels, [count, RGB, height, width], 0 to 255.</summary>
    public byte[] Pixels { get; }

    /// <summary>Names, labels and captions.</summary>
    public Sample[] Samples { get; }

    /// <summary>What was done to each picture.</summary>
    public FrameRecord[] Frames { get; }

    /// <summary>Where reading goes on after this batch; what a checkpoint saves once the batch has been trained on.</summary>
    public DataCursor Next { get; }

    /// <summary>Writes the pixels as v / 127.5 - 1, in [-1, 1], in the order of <see cref="Pixels"/>.</summary>
    /// <param name="target">As many floats as there are bytes in <see cref="Pixels"/>.</param>
    public void CopyTo(Span<float> target)
    {
        if (target.Length != Pixels.Length)
            throw new ArgumentException($"{Pixels.Length} values do not fit {target.Length}.", nameof(target));
        for (var i = 0; i < Pixels.Length; i++)
            target[i] = Pixels[i] / 127.5f - 1f;
    }

    /// <summary>The picture of one sample.</summary>
    public Picture PictureAt(int sample)
    {
        var picture = new Picture(Width, Height);
        var interleaved = picture.Pixels;
        var plane = Width * Height;
        var planes = Pixels.AsSpan(sample * Picture.Channels * plane, Picture.Channels * plane);
        for (var i = 0; i < interleaved.Length; i++)
            interleaved[i] = planes[i % Picture.Channels * plane + i / Picture.Channels];
        return picture;
    }

    // Each slot is written by one thread; slots do not overlap.
    internal void Set(int slot, LoadedSample loaded)
    {
        Samples[slot] = loaded.Sample;
        Frames[slot] = loaded.Framed.Record;
        ReadOnlySpan<byte> interleaved = loaded.Framed.Picture.Pixels;
        var plane = Width * Height;
        var planes = Pixels.AsSpan(slot * Picture.Channels * plane, Picture.Channels * plane);
        for (var i = 0; i < plane; i++)
        {
            planes[i] = interleaved[3 * i];
            planes[plane + i] = interleaved[3 * i + 1];
            planes[2 * plane + i] = interleaved[3 * i + 2];
        }
    }
}
