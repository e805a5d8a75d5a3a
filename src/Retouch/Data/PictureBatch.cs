using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Data;

/// <summary>A batch of samples of one size.</summary>
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
        Masks = new Picture?[count];
    }

    /// <summary>Number of pairs; the samples are then all winners followed by all losers. 0 for single samples.</summary>
    public int Pairs { get; }

    /// <summary>Number of samples.</summary>
    public int Count => Samples.Length;

    /// <summary>Width in pixels.</summary>
    public int Width { get; }

    /// <summary>Height in pixels.</summary>
    public int Height { get; }

    /// <summary>Pixels [count, RGB, height, width], 0 to 255.</summary>
    public byte[] Pixels { get; }

    /// <summary>Names, labels and captions.</summary>
    public Sample[] Samples { get; }

    /// <summary>Crop and flip of each picture.</summary>
    public FrameRecord[] Frames { get; }

    /// <summary>Mask of each picture, with its crop and flip; null without.</summary>
    public Picture?[] Masks { get; }

    /// <summary>Cursor after this batch; saved in a checkpoint after training on the batch.</summary>
    public DataCursor Next { get; }

    /// <summary>Pixels as [count, 3, height, width], float32 in [−1, 1], on the CPU; see <see cref="PictureTensors"/>.</summary>
    public Tensor ToTensor() => PictureTensors.FromPlanes(Pixels, Count, Height, Width);

    /// <summary>Masks of the batch, see <see cref="PictureTensors.OfMasks"/>.</summary>
    public Tensor? ToMasks() => PictureTensors.OfMasks(Masks, Width, Height);

    /// <summary>Picture of a sample.</summary>
    public Picture PictureAt(int sample) =>
        PlanarPixels.ToPicture(Pixels.AsSpan(sample * Picture.Channels * Width * Height), Width, Height);

    // Each slot is written by one thread; slots do not overlap.
    internal void Set(int slot, LoadedSample loaded)
    {
        if (loaded.Loser is { } loser)
            Set(Pairs + slot, loser);
        Samples[slot] = loaded.Sample;
        Frames[slot] = loaded.Framed.Record;
        Masks[slot] = loaded.Mask;
        loaded.Framed.Picture.CopyToPlanes(Pixels.AsSpan(slot * Picture.Channels * Width * Height));
    }
}
