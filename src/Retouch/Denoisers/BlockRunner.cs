using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers;

/// <summary>Runs a block of a network, keeping its intermediates for the backward pass or computing them again there.</summary>
internal static class BlockRunner
{
    /// <param name="checkpoint">Whether to recompute.</param>
    /// <param name="block">A deterministic function of its inputs and <paramref name="parameters"/>.</param>
    /// <param name="inputs">Every tensor that the block reads but its parameters: when it runs again, the caller's scope is gone.</param>
    /// <param name="parameters">What it is made of.</param>
    public static Tensor[] Run(
        bool checkpoint,
        Func<IReadOnlyList<Tensor>, Tensor[]> block,
        IReadOnlyList<Tensor> inputs,
        IReadOnlyList<Parameter> parameters
    ) =>
        // An alias gathers what flows back to an input within the block before it meets what other blocks send: sums of the same order, so
        // the same bits, either way.
        checkpoint
            ? Autograd.Checkpoint(block, inputs, [.. parameters.SelectMany(static p => p.Leaves)])
            : block([.. inputs.Select(static t => t.RequiresGrad ? t.Alias() : t)]);
}
