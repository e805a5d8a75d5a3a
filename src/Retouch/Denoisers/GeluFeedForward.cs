using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers;

/// <summary>
/// The feed-forward network of a transformer block, four times as wide inside. Keys: <c>net.0.proj.*</c>, <c>net.2.*</c>.
/// </summary>
/// <param name="path">Where it stands.</param>
/// <param name="width">Width of a token.</param>
/// <param name="approximate">Whether GELU is the tanh form.</param>
internal sealed class GeluFeedForward(ParameterPath path, int width, bool approximate = true)
{
    private readonly Linear _expand = MultiHeadAttention.Projection(path / "net" / 0 / "proj", width, 4L * width);
    private readonly Linear _contract = MultiHeadAttention.Projection(path / "net" / 2, 4L * width, width);

    /// <summary>Whether a configuration's <c>activation_fn</c> names the tanh form.</summary>
    public static bool IsApproximate(string activation) => activation == "gelu-approximate";

    /// <summary>[batch, tokens, width] to the same shape.</summary>
    public Tensor Forward(Tensor x) => _contract.Forward(_expand.Forward(x).Gelu(approximate ? "tanh" : "none"));
}
