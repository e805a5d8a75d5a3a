using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Conditioning.Clip;

/// <summary>
/// Image preprocessing of the CLIP image encoder (transformers' <c>CLIPImageProcessor</c>): the short side is resized with PIL's
/// bicubic filter, the centre is cropped, values are divided by 255 and normalised per channel.
/// </summary>
/// <param name="size">Output side in pixels.</param>
public sealed class ClipImageProcessor(int size = 224)
{
    /// <summary>Mean of the red, green and blue channels of CLIP's training images, values in [0, 1].</summary>
    public static IReadOnlyList<float> Mean { get; } = [0.48145466f, 0.4578275f, 0.40821073f];

    /// <summary>Standard deviations of the red, green and blue channels.</summary>
    public static IReadOnlyList<float> Deviation { get; } = [0.26862954f, 0.26130258f, 0.27577711f];

    /// <summary>Output side in pixels.</summary>
    public int Size { get; } = size >= 1 ? size : throw new ArgumentOutOfRangeException(nameof(size));

    /// <summary>Preprocesses images of any size as one batch.</summary>
    /// <returns>[pictures, 3, size, size], float32, on the CPU.</returns>
    /// <exception cref="ArgumentException">There are no pictures.</exception>
    public Tensor Process(IReadOnlyList<Picture> pictures)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        if (pictures.Count == 0)
            throw new ArgumentException("At least one picture is needed.", nameof(pictures));
        var plane = Size * Size;
        var planes = new byte[Picture.Channels * plane];
        var values = new float[checked(pictures.Count * planes.Length)];
        for (var k = 0; k < pictures.Count; k++)
        {
            pictures[k].ResizeShortSide(Size, ResizeFilter.Bicubic).CropCenter(Size, Size).CopyToPlanes(planes);
            var target = values.AsSpan(k * planes.Length, planes.Length);
            for (var i = 0; i < planes.Length; i++)
                target[i] = ((planes[i] / 255f) - Mean[i / plane]) / Deviation[i / plane];
        }

        return Tensor.From(values, pictures.Count, Picture.Channels, Size, Size);
    }
}
