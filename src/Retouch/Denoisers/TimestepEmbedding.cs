using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers;

/// <summary>
/// Two linear layers with a SiLU between them, which turn features of the time into a vector. Keys: <c>linear_1.*</c>, <c>linear_2.*</c>.
/// </summary>
/// <param name="path">Where it stands.</param>
/// <param name="features">Size of the input.</param>
/// <param name="width">Size of the output.</param>
/// <param name="weightInit">Start of both weights; the linear layer's own by default.</param>
/// <param name="biasInit">Start of both biases; the linear layer's own by default.</param>
public sealed class TimestepEmbedding(ParameterPath path, int features, int width, Init? weightInit = null, Init? biasInit = null)
{
    private readonly Linear _first = new(path / "linear_1", features, width, weightInit: weightInit, biasInit: biasInit);
    private readonly Linear _second = new(path / "linear_2", width, width, weightInit: weightInit, biasInit: biasInit);

    /// <summary>[batch, features] to [batch, width].</summary>
    public Tensor Forward(Tensor features) => _second.Forward(_first.Forward(features).Silu());
}
