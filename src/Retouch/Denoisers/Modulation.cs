using Retouch.Torch;

namespace Retouch.Denoisers;

/// <summary>Modulation of normalised tokens (adaptive layer normalisation; Peebles and Xie 2023, section 3.2).</summary>
internal static class Modulation
{
    /// <summary>x·(1 + scale) + shift in one pass over the tokens.</summary>
    /// <param name="x">[batch, tokens, width].</param>
    /// <param name="shift">[batch, 1, width].</param>
    /// <param name="scale">[batch, 1, width].</param>
    public static Tensor Apply(Tensor x, Tensor shift, Tensor scale) => Ops.Addcmul(shift, x, scale + 1);

    /// <summary>x + gate·branch in one pass.</summary>
    /// <param name="x">[batch, tokens, width].</param>
    /// <param name="gate">[batch, 1, width].</param>
    /// <param name="branch">[batch, tokens, width].</param>
    public static Tensor Gate(Tensor x, Tensor gate, Tensor branch) => Ops.Addcmul(x, gate, branch);
}
