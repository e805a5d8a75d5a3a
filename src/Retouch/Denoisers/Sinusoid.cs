using Retouch.Torch;

namespace Retouch.Denoisers;

/// <summary>Sinusoidal timestep features (Vaswani et al. 2017, section 3.5, as used by diffusion networks).</summary>
public static class Sinusoid
{
    /// <summary>
    /// Angles t·10000^(−k/(half − <paramref name="frequencyShift"/>)) for 0 ≤ k &lt; half = channels/2. Computed in float32 in the
    /// operation order of pretraining: at times near 1000, rounding of a frequency causes a visible phase error.
    /// </summary>
    /// <param name="time">Times [batch], any dtype.</param>
    /// <param name="channels">Number of features; even.</param>
    /// <param name="cosineFirst">Whether cosines precede sines (diffusers' <c>flip_sin_to_cos</c>).</param>
    /// <param name="frequencyShift">0 or 1.</param>
    /// <returns>[batch, channels], float32, on the device of <paramref name="time"/>.</returns>
    public static Tensor Features(Tensor time, int channels, bool cosineFirst = true, double frequencyShift = 0)
    {
        using var scope = TensorScope.Enter();
        var half = channels / 2;
        var exponent = Ops.Arange(half, dtype: DType.Float32) * -Math.Log(10000) / (half - frequencyShift);
        var angles = time.To(DType.Float32).Unsqueeze(1) * exponent.Exp().To(time.Device);
        return scope.Keep(cosineFirst ? Ops.Cat([angles.Cos(), angles.Sin()], -1) : Ops.Cat([angles.Sin(), angles.Cos()], -1));
    }
}
