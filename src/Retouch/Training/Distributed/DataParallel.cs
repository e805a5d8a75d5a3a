using System.Globalization;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Torch;
using Retouch.Torch.Distributed;
using Retouch.Torch.Nn;
using Retouch.Torch.Optim;
using Retouch.Training.Options;
using Retouch.Training.Tasks;

namespace Retouch.Training.Distributed;

/// <summary>
/// A step of several processes. The micro-batches of a step are dealt out to the ranks in turn, so that samples, draws and losses are
/// those of a single process with the same options; gradients are summed once, during the backward pass of a rank's last micro-batch.
/// Divided gradients are summed in every one.
/// </summary>
internal sealed class DataParallel : IDisposable
{
    /// <summary>Log name of the seconds of a step for which a process waited for others.</summary>
    public const string WaitingFigure = "time/peers";

    /// <summary>Log name of the seconds of a step for the sum of gradients and metrics, apart from what backward hides.</summary>
    public const string CommunicationFigure = "time/communication";

    /// <summary>Log name of the seconds of a step for the exchange of updated weights (<see cref="DividedParts.States"/>).</summary>
    public const string ExchangeFigure = "time/weights";

    private readonly TimeProvider _time;
    private readonly GradientBuckets _buckets;
    private readonly ParameterShare? _share;
    private readonly SlowestRanks _slowest;
    private long _began;
    private TimeSpan _read;

    private DataParallel(World world, GradientBuckets buckets, ParameterShare? share, TimeProvider time) =>
        (World, _buckets, _share, _time, _slowest) = (world, buckets, share, time, new SlowestRanks(world.Size));

    /// <summary>All processes.</summary>
    public World World { get; }

    /// <summary>Checks that the micro-batches of a step can be dealt out.</summary>
    /// <param name="size">Samples per micro-batch.</param>
    /// <param name="accumulate">Micro-batches per step.</param>
    /// <param name="processes">Number of processes.</param>
    /// <exception cref="UsageException">The number of micro-batches is not a multiple of the number of processes.</exception>
    public static void CheckBatch(int size, int accumulate, int processes)
    {
        if (accumulate % processes == 0)
            return;
        var samples = (long)size * accumulate;
        var advice =
            samples % processes == 0
                ? $"batch.size={samples / processes} batch.accumulate={processes} has the same {samples} samples per step"
                : $"batch.accumulate={processes} has {(long)size * processes} samples per step";
        throw new UsageException(
            $"batch.accumulate is {accumulate}, which cannot be divided among {processes} processes: it is the number of micro-batches per "
                + $"step over all processes. For example, {advice}."
        );
    }

    /// <summary>Begins a run in all processes, which must have the same weights.</summary>
    /// <param name="world">All processes; not disposed here.</param>
    /// <param name="step">Completed steps.</param>
    /// <param name="trained">Parameters that are trained.</param>
    /// <param name="share">Share of this process in the parameters; null if every process updates all.</param>
    /// <param name="time">Clock.</param>
    /// <exception cref="InputException">Steps or weights differ.</exception>
    public static DataParallel Begin(World world, long step, IEnumerable<Parameter> trained, ParameterShare? share, TimeProvider time)
    {
        Tensor[] parameters = [.. trained.Select(static p => p.Value)];
        var norm = parameters.Sum(Squared);
        var all = world.Gather("compare the weights", string.Create(CultureInfo.InvariantCulture, $"step {step}, ‖weights‖² {norm:R}"));
        var other = Array.FindIndex(all, a => a != all[0]);
        if (other >= 0)
            throw new InputException(
                $"Rank {other} would begin with {all[other]}, rank 0 with {all[0]}: the processes read different models or checkpoints. "
                    + "Give all of them the same files, on a file system that they share."
            );
        return new DataParallel(
            world,
            world.Buckets(parameters, share is { DividesGradients: true } ? share.OwnerRanks : null),
            share,
            time
        );
    }

    private static double Squared(Tensor parameter)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        return parameter.To(DType.Float64).Square().Sum().Item();
    }

    /// <summary>Whether the run has ended or is interrupted, equal in all processes.</summary>
    /// <param name="parallel">All processes; null for a single one.</param>
    /// <param name="step">Completed steps.</param>
    /// <param name="ended">Whether this process has ended.</param>
    /// <param name="cancellation">Whether this process is interrupted.</param>
    public static (bool Ended, bool Interrupted) Agreed(DataParallel? parallel, long step, bool ended, CancellationToken cancellation)
    {
        if (parallel is not { World: var world })
            return (ended, cancellation.IsCancellationRequested);
        world.Enter($"step {step + 1}, start");
        var agreed = world.Any("start of a step", ended, cancellation.IsCancellationRequested);
        return (agreed[0], agreed[1]);
    }

    /// <summary>Exception of an interrupted run: of this process, or of another one.</summary>
    public static Exception Interruption(CancellationToken cancellation) =>
        cancellation.IsCancellationRequested
            ? new OperationCanceledException(cancellation)
            : new EnvironmentException("Another process was interrupted, so that all have ended after the same step.");

    /// <summary>Whether processes collect weights from each other.</summary>
    public bool DividesWeights { get; private set; }

    /// <summary>Divides the weights of blocks if the options ask for it, after the comparison of all weights.</summary>
    /// <param name="shard">Parts that are divided.</param>
    /// <param name="blocks">Parameters of each block.</param>
    /// <returns>The divided weights, or null.</returns>
    public DividedWeights? DivideWeights(DividedParts shard, IReadOnlyList<IReadOnlyList<Parameter>> blocks)
    {
        DividesWeights = shard == DividedParts.Weights;
        return DividesWeights ? new DividedWeights(blocks, _share!, World) : null;
    }

    private bool DividesGradients => _share is { DividesGradients: true };

    /// <summary>A sentence on the waiting of all steps so far; null before the first.</summary>
    public string? Summary => _slowest.Summary();

    /// <summary>Begins a step.</summary>
    public void BeginStep() => (_began, _read) = (_time.GetTimestamp(), TimeSpan.Zero);

    /// <summary>Waits for a batch.</summary>
    /// <param name="data">Source of batches.</param>
    /// <param name="step">Completed steps before this one.</param>
    public TrainingBatch Read(IBatchSource data, long step)
    {
        ArgumentNullException.ThrowIfNull(data);
        World.Enter($"step {step + 1}, waiting for data");
        var start = _time.GetTimestamp();
        var batch = data.Next(CancellationToken.None);
        _read += _time.GetElapsedTime(start);
        World.Enter($"step {step + 1}, computing");
        return batch;
    }

    /// <summary>Announces a backward pass.</summary>
    /// <param name="last">Whether it is the rank's last one of the step.</param>
    public void BeforeBackward(bool last)
    {
        if (last || DividesGradients)
            World.Together("sum of gradients", _buckets.Arm);
    }

    /// <summary>After a backward pass that is not the rank's last one of the step.</summary>
    public void AfterBackward()
    {
        if (!DividesGradients)
            return;
        World.Together(
            "sum of gradients",
            () =>
            {
                _buckets.Flush();
                _buckets.Finish(last: false);
            }
        );
    }

    /// <summary>Sums gradients and metrics over all processes.</summary>
    /// <param name="own">Metrics of this process.</param>
    /// <param name="suspects">Samples to name if the step is not finite.</param>
    /// <param name="micros">Micro-batches of the step.</param>
    /// <param name="decode">Seconds of its decoding, or null.</param>
    /// <returns>Metrics of the step, and the samples of all processes.</returns>
    public (StepRecord Record, IReadOnlyList<string> Suspects) Finish(
        StepRecord own,
        IReadOnlyList<string> suspects,
        int micros,
        double? decode
    )
    {
        const string What = "sum of gradients";
        var start = _time.GetTimestamp();
        var computed = _time.GetElapsedTime(_began, start) - _read;
        var times = new RankTimes(computed.TotalSeconds, _read.TotalSeconds) { Decode = decode };
        World.Together(What, _buckets.Flush);
        World.Barrier(What);
        var waited = _time.GetElapsedTime(start);
        start = _time.GetTimestamp();
        var texts = World.Gather(What, JsonSerializer.Serialize(own.Shared(suspects, times), JsonStyles.StateLine));
        StepShare[] shares = [.. texts.Select(static t => JsonSerializer.Deserialize<StepShare>(t, JsonStyles.StateLine)!)];
        World.Together(What, () => _buckets.Finish());
        var record = StepRecord.Of(micros, shares);
        record.Values.Add(new(WaitingFigure, waited.TotalSeconds));
        record.Values.Add(new(CommunicationFigure, _time.GetElapsedTime(start).TotalSeconds));
        record.Values.AddRange(_slowest.Add([.. shares.Select(static s => s.Times)]));
        return (record, [.. shares.SelectMany(static s => s.Suspects)]);
    }

    /// <summary>Sums tensors over all processes, in place and in the order of their ranks.</summary>
    /// <param name="tensors">Tensors of the same type; null for none.</param>
    public void Sum(IReadOnlyList<Tensor>? tensors)
    {
        if (tensors is null)
            return;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var joined = Ops.Cat([.. tensors.Select(static t => t.Reshape([-1L]))], 0);
        var sum = World.Gather("sum of the discriminator's gradients", joined).Aggregate(static (a, b) => a + b);
        var start = 0L;
        foreach (var tensor in tensors)
        {
            tensor.CopyInPlace(sum.Narrow(0, start, tensor.Count).View(tensor.Shape));
            start += tensor.Count;
        }
    }

    /// <summary>After an update of a share of the parameters: the weights that the other processes have updated.</summary>
    /// <param name="record">Receives the duration.</param>
    public void Exchange(StepRecord record)
    {
        if (_share is null)
            return;
        var start = _time.GetTimestamp();
        _share.Exchange();
        record.Values.Add(new(ExchangeFigure, _time.GetElapsedTime(start).TotalSeconds));
    }

    /// <inheritdoc/>
    public void Dispose() => _buckets.Dispose();
}
