using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers;

/// <summary>
/// Two-layer MLP with SiLU that embeds timestep features. Keys: <c>linear_1.*</c>, <c>linear_2.*</c>.
/// </summary>
/// <param name="path">Path of the parameters.</param>
/// <param name="features">Input width.</param>
/// <param name="width">Output width.</param>
/// <param name="weightInit">Initialisation of both weights; null for the default of linear layers.</param>
/// <param name="biasInit">Initialisation of both biases; null for the default of linear layers.</param>
public sealed class TimestepEmbedding(ParameterPath path, int features, int width, Init? weightInit = null, Init? biasInit = null)
{
    private readonly Linear _first = new(path / "linear_1", features, width, weightInit: weightInit, biasInit: biasInit);
    private readonly Linear _second = new(path / "linear_2", width, width, weightInit: weightInit, biasInit: biasInit);

    /// <summary>[batch, features] to [batch, width].</summary>
    public Tensor Forward(Tensor features) => _second.Forward(_first.Forward(features).Silu());
}
