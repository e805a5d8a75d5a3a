using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers;

/// <summary>
/// Runs a network block with or without activation checkpointing. A block whose weights are divided among processes is always recomputed:
/// its weights are collected for the forward pass, and again for the backward pass.
/// </summary>
internal static class BlockRunner
{
    /// <param name="checkpoint">Whether to recompute the activations in the backward pass.</param>
    /// <param name="block">A deterministic function of its inputs and <paramref name="parameters"/>.</param>
    /// <param name="inputs">Every tensor the block reads except its parameters; recomputation runs after the caller's scope has
    /// ended.</param>
    /// <param name="parameters">Parameters of the block.</param>
    public static Tensor[] Run(
        bool checkpoint,
        Func<IReadOnlyList<Tensor>, Tensor[]> block,
        IReadOnlyList<Tensor> inputs,
        IReadOnlyList<Parameter> parameters
    ) =>
        // An alias sums the gradients of an input within the block before those of other blocks, in the same order as checkpointing:
        // both paths are bitwise equal.
        checkpoint || parameters[0].Block is not null
            ? Autograd.Checkpoint(
                block,
                inputs,
                [.. parameters.SelectMany(static p => p.Leaves)],
                parameters[0].Block is { } weights ? weights.Hold : null
            )
            : block([.. inputs.Select(static t => t.RequiresGrad ? t.Alias() : t)]);
}
