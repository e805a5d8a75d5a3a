using Retouch.Torch;

namespace Retouch.Denoisers;

/// <summary>Sine and cosine features of a time (Vaswani et al. 2017, section 3.5, as diffusion networks use them).</summary>
public static class Sinusoid
{
    /// <summary>
    /// Angles are t·10000^(−k/(half − <paramref name="frequencyShift"/>)) for k below half = channels/2. Computed in float32 in the order
    /// of operations that pretrained networks saw: a time near 1000 turns rounding of a frequency into a visible phase.
    /// </summary>
    /// <param name="time">[batch], any type.</param>
    /// <param name="channels">Features; even.</param>
    /// <param name="cosineFirst">Order of the halves: cosines then sines (diffusers' <c>flip_sin_to_cos</c>), or the reverse.</param>
    /// <param name="frequencyShift">0 or 1.</param>
    /// <returns>[batch, channels], float32, on the time's device.</returns>
    public static Tensor Features(Tensor time, int channels, bool cosineFirst = true, double frequencyShift = 0)
    {
        using var scope = TensorScope.Enter();
        var half = channels / 2;
        var exponent = Ops.Arange(half, dtype: DType.Float32) * -Math.Log(10000) / (half - frequencyShift);
        var angles = time.To(DType.Float32).Unsqueeze(1) * exponent.Exp().To(time.Device);
        return scope.Keep(cosineFirst ? Ops.Cat([angles.Cos(), angles.Sin()], -1) : Ops.Cat([angles.Sin(), angles.Cos()], -1));
    }
}
