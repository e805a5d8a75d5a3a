using Retouch.Core.Errors;
using Retouch.Objectives;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Optim;
using Retouch.Training.Options;

namespace Retouch.Training.Distributed;

/// <summary>Conditions of a run that several processes share.</summary>
internal static class SharedRun
{
    /// <summary>Checks that all processes have the same options, and that these allow several processes.</summary>
    /// <exception cref="UsageException">They do not.</exception>
    public static void Check(TrainingOptions options, World world)
    {
        var all = world.Gather("compare the options", OptionsFile.Write(options));
        var other = Array.FindIndex(all, text => text != all[0]);
        if (other >= 0)
        {
            var lines = all[0].Split('\n').Zip(all[other].Split('\n')).First(static p => p.First != p.Second);
            throw new UsageException(
                $"Rank {other} was started with other options than rank 0: '{lines.Second.Trim()}' instead of '{lines.First.Trim()}'."
            );
        }

        DataParallel.CheckBatch(options.Batch.Size, options.Batch.Accumulate, world.Size);
        if (options.Objective is not { } objective)
            return;
        if (objective.Preference is { PrecomputesReference: true })
            throw new UsageException(
                "objective.preference.reference=precomputed is not supported with several processes; use another reference, or a single "
                    + "process."
            );
        TermWeight?[] weights = [objective.Perceptual?.Weight, objective.Pixel?.Weight];
        if (objective.DiffusionWeight == 0 && Array.Exists(weights, static w => w is { Fixed: null }))
            throw new UsageException(
                "With several processes a measured weight needs objective.latentWeight above 0; give fixed weights, or use a single "
                    + "process."
            );
    }

    /// <summary>Share of a process in the states and averages of trained parameters; null if it holds all.</summary>
    public static ParameterShare? ShareOf(TrainingOptions options, IEnumerable<Parameter> trained, World? world) =>
        world is null || options.Distributed.Shard == DividedParts.None
            ? null
            : new ParameterShare(trained, world.Rank, world.Size, tensor => world.Gather("exchange of weights", tensor))
            {
                DividesGradients = options.Distributed.Shard == DividedParts.Gradients,
            };
}
