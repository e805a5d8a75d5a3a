using Retouch.Torch.Nn;
using Retouch.Torch.Optim;

namespace Retouch.Training.Distributed;

/// <summary>
/// Weights of a network's blocks, divided among the processes of a run. Trained parameters belong to the process that updates them; frozen
/// ones, of a base under adapters, are divided evenly.
/// </summary>
internal sealed class DividedWeights
{
    private readonly DividedBlock[] _blocks;

    /// <summary>Divides the blocks. All processes must have the same weights.</summary>
    /// <param name="blocks">Parameters of each block.</param>
    /// <param name="share">Share of this process in the trained parameters.</param>
    /// <param name="world">All processes.</param>
    public DividedWeights(IReadOnlyList<IReadOnlyList<Parameter>> blocks, ParameterShare share, World world)
    {
        var owners = share.All.Zip(share.OwnerRanks).ToDictionary(static p => p.First, static p => p.Second);
        Parameter[] frozen = [.. blocks.SelectMany(static b => b).Where(p => !owners.ContainsKey(p))];
        foreach (var (parameter, rank) in frozen.Zip(ParameterShare.Owners([.. frozen.Select(static p => p.Count)], world.Size)))
            owners.Add(parameter, rank);
        _blocks =
        [
            .. blocks.Select(block => new DividedBlock(
                new ParameterShare(
                    block,
                    world.Rank,
                    world.Size,
                    tensor => world.Gather("collect the weights of a block", tensor),
                    [.. block.Select(p => owners[p])]
                )
            )),
        ];
    }

    /// <summary>Collects all weights until the result is disposed; all processes must call it.</summary>
    public IDisposable Whole() => new All([.. _blocks.Select(static b => b.Hold())]);

    private sealed class All(IDisposable[] held) : IDisposable
    {
        public void Dispose() => Array.ForEach(held, static h => h.Dispose());
    }
}
