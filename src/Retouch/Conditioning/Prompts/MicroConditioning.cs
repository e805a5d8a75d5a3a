using Retouch.Torch;

namespace Retouch.Conditioning.Prompts;

/// <summary>SDXL's size and crop conditioning (Podell et al. 2023, section 2.2), in pixels.</summary>
/// <param name="OriginalHeight">Image height before resizing.</param>
/// <param name="OriginalWidth">Image width before resizing.</param>
/// <param name="CropTop">Rows cropped at the top, after resizing.</param>
/// <param name="CropLeft">Columns cropped on the left, after resizing.</param>
/// <param name="TargetHeight">Height of the training or sampled image.</param>
/// <param name="TargetWidth">Width of the training or sampled image.</param>
public readonly record struct MicroConditioning(
    int OriginalHeight,
    int OriginalWidth,
    int CropTop,
    int CropLeft,
    int TargetHeight,
    int TargetWidth
)
{
    /// <summary>Conditioning of an image that was neither resized nor cropped, as used in sampling.</summary>
    public static MicroConditioning Whole(int height, int width) => new(height, width, 0, 0, height, width);

    /// <summary>Converts to <see cref="Condition.TimeIds"/>.</summary>
    /// <returns>[samples, 6], float32.</returns>
    public static Tensor ToTensor(IReadOnlyList<MicroConditioning> samples, Device device)
    {
        ArgumentNullException.ThrowIfNull(samples);
        using var scope = TensorScope.Enter();
        float[] values =
        [
            .. samples.SelectMany(static s =>
                new float[] { s.OriginalHeight, s.OriginalWidth, s.CropTop, s.CropLeft, s.TargetHeight, s.TargetWidth }
            ),
        ];
        return scope.Keep(Tensor.From(values, samples.Count, 6).To(device));
    }
}
