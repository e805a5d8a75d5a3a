using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Sd3;

/// <summary>
/// Shifts, scales and gates from a conditioning embedding. Keys: <c>linear.weight</c>, <c>linear.bias</c>: either a linear layer
/// [count·width, width], or its diagonals [count, width], where channel c of each modulation depends on channel c of the embedding
/// only.
/// </summary>
internal sealed class ModulationSource
{
    private readonly Linear? _linear;
    private readonly Parameter? _gain;
    private readonly Parameter? _bias;
    private readonly int _count;

    /// <param name="path">Path of the parameters.</param>
    /// <param name="width">Width of the embedding and of each modulation.</param>
    /// <param name="count">Number of modulations.</param>
    /// <param name="diagonal">Whether the maps are diagonal.</param>
    public ModulationSource(ParameterPath path, int width, int count, bool diagonal)
    {
        _count = count;
        var linear = path / "linear";
        // Zero initialisation makes a new block the identity (adaLN-Zero).
        if (diagonal)
            (_gain, _bias) = (
                linear.Parameter("weight", [count, width], Inits.Zeros),
                linear.Parameter("bias", [count, width], Inits.Zeros)
            );
        else
            _linear = new Linear(linear, width, (long)count * width, weightInit: Inits.Zeros, biasInit: Inits.Zeros);
    }

    /// <summary>Maps [batch, width] to <c>count</c> tensors [batch, 1, width].</summary>
    public Tensor[] Forward(Tensor embedding) =>
        _linear is not null
            ? _linear.Forward(embedding).Unsqueeze(1).Chunk(_count, -1)
            : Ops.Addcmul(_bias!.Value, embedding.Unsqueeze(1), _gain!.Value).Chunk(_count, 1);
}
