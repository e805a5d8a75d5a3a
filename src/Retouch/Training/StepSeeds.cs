using Retouch.Data;
using Retouch.Torch;

namespace Retouch.Training;

/// <summary>Random streams of a step, apart from the order and crops of samples.</summary>
public enum RandomPurpose
{
    /// <summary>Noise ε.</summary>
    Noise = 1,

    /// <summary>Timesteps t.</summary>
    Levels = 2,

    /// <summary>Condition dropout.</summary>
    Dropout = 3,

    /// <summary>Sample of the encoder's posterior.</summary>
    Posterior = 4,

    /// <summary>Windows that are decoded.</summary>
    Windows = 5,
}

/// <summary>
/// Seeds of one micro-batch: each purpose has its own stream, derived from (seed, step, micro-batch), whichever process
/// evaluates it. No state is carried between
/// steps, so a resumed run draws the same numbers as an uninterrupted one, and changing one option does not shift other streams.
/// </summary>
/// <param name="Seed">Seed of the run.</param>
/// <param name="Step">Completed optimiser steps before this one.</param>
/// <param name="Micro">Index of the micro-batch.</param>
public readonly record struct StepSeeds(ulong Seed, long Step, int Micro)
{
    /// <summary>CPU generator for one purpose, owned by the caller.</summary>
    public Generator For(RandomPurpose purpose) =>
        Generator.Create(Device.Cpu, SplitMix64.Derive(Seed, 0x73746570, (ulong)Step, (ulong)Micro, 0, (ulong)purpose));
}
