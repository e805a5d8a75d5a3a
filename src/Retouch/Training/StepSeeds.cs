using Retouch.Data;
using Retouch.Torch;

namespace Retouch.Training;

/// <summary>What is random in a step, apart from the order and the framing of samples.</summary>
public enum RandomPurpose
{
    /// <summary>The noise ε.</summary>
    Noise = 1,

    /// <summary>The times t.</summary>
    Levels = 2,

    /// <summary>Which samples lose their condition.</summary>
    Dropout = 3,

    /// <summary>The sample of the encoder's posterior.</summary>
    Posterior = 4,
}

/// <summary>
/// The randomness of one micro-batch: each purpose has a stream of its own, derived from (seed, step, micro-batch, rank). Nothing is
/// carried from step to step, so a resumed run draws what the uninterrupted one would have drawn, and switching one option does not shift
/// the others' numbers.
/// </summary>
/// <param name="Seed">The run's seed.</param>
/// <param name="Step">Optimiser steps done before this one.</param>
/// <param name="Micro">Which of the accumulated batches.</param>
/// <param name="Rank">Which process.</param>
public readonly record struct StepSeeds(ulong Seed, long Step, int Micro, int Rank)
{
    /// <summary>A CPU generator for one purpose; the caller disposes it.</summary>
    public Generator For(RandomPurpose purpose) =>
        Generator.Create(Device.Cpu, SplitMix64.Derive(Seed, 0x73746570, (ulong)Step, (ulong)Micro, (ulong)Rank, (ulong)purpose));
}
