using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers;

/// <summary>
/// Feed-forward network of a transformer block with an expansion factor of 4. Keys: <c>net.0.proj.*</c>, <c>net.2.*</c>.
/// </summary>
/// <param name="path">Path of the parameters.</param>
/// <param name="width">Token width.</param>
/// <param name="approximate">Whether to use the tanh approximation of GELU.</param>
internal sealed class GeluFeedForward(ParameterPath path, int width, bool approximate = true)
{
    private readonly Linear _expand = MultiHeadAttention.Projection(path / "net" / 0 / "proj", width, 4L * width);
    private readonly Linear _contract = MultiHeadAttention.Projection(path / "net" / 2, 4L * width, width);

    /// <summary>Whether a configuration's <c>activation_fn</c> is the tanh approximation.</summary>
    public static bool IsApproximate(string activation) => activation == "gelu-approximate";

    /// <summary>[batch, tokens, width], same shape.</summary>
    public Tensor Forward(Tensor x) => _contract.Forward(_expand.Forward(x).Gelu(approximate ? "tanh" : "none"));
}
