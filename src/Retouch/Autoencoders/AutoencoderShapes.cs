using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Autoencoders;

/// <summary>Input checks common to all autoencoders.</summary>
internal static class AutoencoderShapes
{
    /// <exception cref="InputException">The images are not [batch, channels, height, width] with sides divisible by
    /// <paramref name="multiple"/>.</exception>
    public static void CheckImages(Tensor images, int channels, int multiple) => Check(images, channels, "images", multiple);

    /// <exception cref="InputException">The latents are not [batch, channels, height, width].</exception>
    public static void CheckLatents(Tensor latents, int channels) => Check(latents, channels, "latents", 1);

    /// <exception cref="ArgumentException">The request is empty, or its taps are out of range or not ascending.</exception>
    public static void CheckTaps(TapRequest request, int count)
    {
        if (request.Taps.Count == 0 && !request.Rgb)
            throw new ArgumentException("The request is empty: no taps and no image.", nameof(request));
        for (var k = 0; k < request.Taps.Count; k++)
        {
            if (request.Taps[k] < 0 || request.Taps[k] >= count || (k > 0 && request.Taps[k] <= request.Taps[k - 1]))
                throw new ArgumentException(
                    $"Taps must be ascending and between 0 and {count - 1}; requested: [{string.Join(", ", request.Taps)}].",
                    nameof(request)
                );
        }
    }

    private static void Check(Tensor x, int channels, string what, int multiple)
    {
        var shape = x.Shape;
        if (
            shape.Length != 4
            || shape[1] != channels
            || shape[2] < 1
            || shape[3] < 1
            || shape[2] % multiple != 0
            || shape[3] % multiple != 0
        )
            throw new InputException(
                $"The autoencoder takes {what} of shape [batch, {channels}, height, "
                    + $"width]{(multiple > 1 ? $" with sides divisible by {multiple}" : "")}, not [{string.Join(", ", shape)}]."
            );
    }
}
