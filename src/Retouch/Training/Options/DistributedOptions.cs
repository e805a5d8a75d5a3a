namespace Retouch.Training.Options;

/// <summary>Parts of a training that several processes divide among themselves.</summary>
public enum DividedParts
{
    /// <summary>None: every process holds everything.</summary>
    None,

    /// <summary>States of the optimiser and weight averages.</summary>
    States,

    /// <summary>Also the gradients.</summary>
    Gradients,

    /// <summary>Also the weights of the denoiser's blocks.</summary>
    Weights,
}

/// <summary>Training with several processes (docs/scaling.md).</summary>
public sealed record DistributedOptions
{
    /// <summary>
    /// Memory that the processes divide among themselves: none; states, the states of the optimiser and the weight averages (ZeRO stage 1);
    /// gradients, these and the gradients (ZeRO stage 2); or weights, these and the weights of the denoiser's blocks, trained or frozen,
    /// which are collected block by block and whose activations are recomputed (ZeRO stage 3). Each process updates its part of the
    /// weights; results are the same, with states to the bit. A single process holds everything.
    /// </summary>
    public DividedParts Shard { get; init; }
}
