using Retouch.Core.Errors;
using Retouch.Evaluation.Pixels;
using Retouch.Torch;

namespace Retouch.Evaluation.Judging;

/// <summary>Sharpness, see <see cref="PixelScores.Sharpness"/>; noise raises it.</summary>
public sealed class SharpnessMeasure : ICandidateMeasure
{
    private const int SmallestSide = 3;

    /// <inheritdoc/>
    public JudgeProtocol Protocol { get; } = new("sharpness", "variance of the luminance's Laplacian, in squared levels of 0 to 255");

    /// <inheritdoc/>
    public bool NeedsPrompts => false;

    /// <inheritdoc/>
    public double[] Of(Tensor pictures, IReadOnlyList<string> prompts)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        return Math.Min(pictures.Shape[2], pictures.Shape[3]) < SmallestSide
            ? throw new InputException(
                $"A picture of {pictures.Shape[3]} x {pictures.Shape[2]} pixels is too small for sharpness; "
                    + $"sides must have at least {SmallestSide} pixels."
            )
            : PixelScores.Sharpness(pictures);
    }

    /// <inheritdoc/>
    public void Dispose() { }
}
