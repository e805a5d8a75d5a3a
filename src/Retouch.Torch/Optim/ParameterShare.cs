using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>
/// The share of a process in the trained parameters: those whose states and averages it holds and which it updates (ZeRO stages 1 and 2,
/// Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", 2020). Shares consist of whole parameters:
/// from the largest parameter to the smallest, each goes to the process with the fewest elements so far.
/// </summary>
public sealed class ParameterShare
{
    private readonly Func<Tensor, Tensor[]> _gather;
    private readonly int[] _owners;
    private readonly int _rank;
    private readonly int _size;

    /// <param name="all">Trained parameters, in the same order in all processes.</param>
    /// <param name="rank">Number of this process, 0 to <paramref name="size"/> − 1.</param>
    /// <param name="size">Number of processes, at least 1.</param>
    /// <param name="gather">The tensors of all processes by rank, from that of this process; of the same shape and type in all.</param>
    public ParameterShare(IEnumerable<Parameter> all, int rank, int size, Func<Tensor, Tensor[]> gather)
    {
        ArgumentNullException.ThrowIfNull(all);
        ArgumentNullException.ThrowIfNull(gather);
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)rank, (uint)size);
        (All, _rank, _size, _gather) = ([.. all], rank, size, gather);
        _owners = Owners([.. All.Select(static p => p.Count)], size);
        Places = [.. Enumerable.Range(0, All.Count).Where(k => _owners[k] == rank)];
        Own = [.. Places.Select(k => All[k])];
    }

    /// <summary>Trained parameters of the network.</summary>
    public IReadOnlyList<Parameter> All { get; }

    /// <summary>Parameters of this process, in the order of <see cref="All"/>.</summary>
    public IReadOnlyList<Parameter> Own { get; }

    /// <summary>Whether gradients exist in the process of their parameter only (ZeRO stage 2).</summary>
    public bool DividesGradients { get; init; }

    /// <summary>Rank of the process of each parameter.</summary>
    public IReadOnlyList<int> OwnerRanks => _owners;

    /// <summary>Elements that all processes together send at once; by default 64 MiB in float32.</summary>
    internal long AtOnce { get; init; } = 1 << 24;

    /// <summary>Indices of <see cref="Own"/> in <see cref="All"/>.</summary>
    internal int[] Places { get; }

    /// <summary>Rank of the process of each parameter.</summary>
    /// <param name="counts">Elements of the parameters.</param>
    /// <param name="size">Number of processes, at least 1.</param>
    public static int[] Owners(IReadOnlyList<long> counts, int size)
    {
        ArgumentNullException.ThrowIfNull(counts);
        var owners = new int[counts.Count];
        var loads = new PriorityQueue<(int Rank, long Load), (long Load, int Rank)>();
        for (var rank = 0; rank < size; rank++)
            loads.Enqueue((rank, 0), (0, rank));
        // A stable order, equal in all processes.
        foreach (var k in Enumerable.Range(0, counts.Count).OrderByDescending(k => counts[k]))
        {
            var (rank, load) = loads.Dequeue();
            owners[k] = rank;
            load += counts[k];
            loads.Enqueue((rank, load), (load, rank));
        }

        return owners;
    }

    /// <summary>
    /// Replaces the values of all other parameters by those of the processes that own them. All processes must call it; a portion of the
    /// values is sent at a time.
    /// </summary>
    public void Exchange()
    {
        using var quiet = Autograd.NoGrad();
        foreach (var type in All.Select(static p => p.Value.DType).Distinct())
        {
            Parameter[][] shares =
            [
                .. Enumerable.Range(0, _size).Select(rank => All.Where((p, k) => _owners[k] == rank && p.Value.DType == type).ToArray()),
            ];
            var longest = shares.Max(static s => s.Sum(static p => p.Count));
            var portion = Math.Max(1, AtOnce / _size);
            for (long begin = 0; begin < longest; begin += portion)
                Send(shares, type, begin, Math.Min(portion, longest - begin));
        }
    }

    /// <summary>A row of one value for each parameter, from the values of all processes for their own.</summary>
    /// <param name="own">[rows, parameters of this process].</param>
    /// <returns>[rows, all parameters], owned by the current scope.</returns>
    internal Tensor Join(Tensor own)
    {
        using var scope = TensorScope.Enter();
        var (rows, widest) = (own.Shape[0], Enumerable.Range(0, _size).Max(rank => _owners.Count(o => o == rank)));
        var padded = Ops.Zeros([rows, widest], dtype: own.DType, device: All[0].Value.Device);
        padded.Narrow(1, 0, Own.Count).CopyInPlace(own);
        var gathered = _gather(padded);
        var taken = new int[_size];
        return scope.Keep(Ops.Cat([.. _owners.Select(rank => gathered[rank].Narrow(1, taken[rank]++, 1))], 1));
    }

    private void Send(Parameter[][] shares, DType type, long begin, long length)
    {
        using var scope = TensorScope.Enter();
        var sent = Ops.Zeros([length], dtype: type, device: All[0].Value.Device);
        foreach (var (value, at) in Pieces(shares[_rank], begin, length))
            sent.Narrow(0, at, value.Count).CopyInPlace(value);
        var received = _gather(sent);
        for (var rank = 0; rank < _size; rank++)
        {
            if (rank == _rank)
                continue;
            foreach (var (value, at) in Pieces(shares[rank], begin, length))
                value.CopyInPlace(received[rank].Narrow(0, at, value.Count));
        }
    }

    /// <summary>The parts of a share's values within a portion, with their places in it.</summary>
    private static IEnumerable<(Tensor Value, long At)> Pieces(Parameter[] share, long begin, long length)
    {
        long start = 0;
        foreach (var parameter in share)
        {
            var (first, last) = (Math.Max(start, begin), Math.Min(start + parameter.Count, begin + length));
            if (first < last)
                yield return (parameter.Value.Detach().View([-1]).Narrow(0, first - start, last - first), first - begin);
            start += parameter.Count;
        }
    }
}
