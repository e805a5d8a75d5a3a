using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Data;

/// <summary>Samples of one size, side by side.</summary>
public sealed class PictureBatch
{
    internal PictureBatch(int count, int width, int height, DataCursor next, bool pairs = false)
    {
        Pairs = pairs ? count : 0;
        count = pairs ? 2 * count : count;
        Width = width;
        Height = height;
        Next = next;
        Pixels = new byte[checked(count * Picture.Channels * width * height)];
        Samples = new Sample[count];
        Frames = new FrameRecord[count];
    }

    /// <summary>Pairs: the first samples are their winners, the next as many their losers. 0 where samples are single.</summary>
    public int Pairs { get; }

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

    /// <summary>The pixels as [B, 3, H, W] float32 in [-1, 1], on the CPU; see <see cref="PictureTensors"/>.</summary>
    public Tensor ToTensor() => PictureTensors.FromPlanes(Pixels, Count, Height, Width);

    /// <summary>The picture of one sample.</summary>
    public Picture PictureAt(int sample) =>
        PlanarPixels.ToPicture(Pixels.AsSpan(sample * Picture.Channels * Width * Height), Width, Height);

    // Each slot is written by one thread; slots do not overlap.
    internal void Set(int slot, LoadedSample loaded)
    {
        if (loaded.Loser is { } loser)
            Set(Pairs + slot, loser);
        Samples[slot] = loaded.Sample;
        Frames[slot] = loaded.Framed.Record;
        loaded.Framed.Picture.CopyToPlanes(Pixels.AsSpan(slot * Picture.Channels * Width * Height));
    }
}
