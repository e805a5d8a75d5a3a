using Retouch.Torch;

namespace Retouch.Conditioning.Prompts;

/// <summary>What SDXL is told about a picture besides its prompt (Podell et al. 2023, section 2.2), in pixels.</summary>
/// <param name="OriginalHeight">Height before the picture was resized for training.</param>
/// <param name="OriginalWidth">Width before.</param>
/// <param name="CropTop">Rows cut off above, after resizing.</param>
/// <param name="CropLeft">Columns cut off on the left.</param>
/// <param name="TargetHeight">Height of what is trained on or sampled.</param>
/// <param name="TargetWidth">Its width.</param>
public readonly record struct MicroConditioning(
    int OriginalHeight,
    int OriginalWidth,
    int CropTop,
    int CropLeft,
    int TargetHeight,
    int TargetWidth
)
{
    /// <summary>A picture that was never resized nor cut: what sampling asks for.</summary>
    public static MicroConditioning Whole(int height, int width) => new(height, width, 0, 0, height, width);

    /// <summary>As <see cref="Condition.TimeIds"/>.</summary>
    /// <returns>[samples, 6] float32.</returns>
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
