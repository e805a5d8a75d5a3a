using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Conditioning.Clip;

/// <summary>
/// Pictures as CLIP's image encoder takes them (transformers' <c>CLIPImageProcessor</c>): the short side resized with PIL's bicubic filter,
/// the middle cut out, levels divided by 255, channels normalised.
/// </summary>
/// <param name="size">Side of the result in pixels.</param>
public sealed class ClipImageProcessor(int size = 224)
{
    /// <summary>Mean of the red, green and blue channel of CLIP's training pictures, levels in [0, 1].</summary>
    public static IReadOnlyList<float> Mean { get; } = [0.48145466f, 0.4578275f, 0.40821073f];

    /// <summary>Standard deviations of the channels.</summary>
    public static IReadOnlyList<float> Deviation { get; } = [0.26862954f, 0.26130258f, 0.27577711f];

    /// <summary>Side of the result in pixels.</summary>
    public int Size { get; } = size >= 1 ? size : throw new ArgumentOutOfRangeException(nameof(size));

    /// <summary>Pictures of any sizes as one batch.</summary>
    /// <returns>[pictures, 3, size, size] float32 on the CPU.</returns>
    /// <exception cref="ArgumentException">There are none.</exception>
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
