namespace Retouch.Training.Options;

/// <summary>Parts of a training that several processes divide among themselves.</summary>
public enum DividedParts
{
    /// <summary>None: every process holds everything.</summary>
    None,

    /// <summary>States of the optimiser and weight averages.</summary>
    States,
}

/// <summary>Training with several processes (docs/scaling.md).</summary>
public sealed record DistributedOptions
{
    /// <summary>
    /// Memory that the processes divide among themselves: none, or states, the states of the optimiser and the weight averages (ZeRO stage
    /// 1). Each process updates its part of the weights and sends them to the others; results are the same to the bit. A single process
    /// holds everything.
    /// </summary>
    public DividedParts Shard { get; init; }
}
