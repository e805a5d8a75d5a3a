using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Distributed;

namespace Retouch.Training.Distributed;

/// <summary>
/// The processes that train together. All of them must call the same operations in the same order. Errors name the process at fault: one
/// that has failed, with its message, one that has ended without a message, or one that is late, with what it waits for.
/// </summary>
public sealed class World : IPeers, IDisposable
{
    private const string FailedKey = "failed";
    private const string SeenKey = "seen";

    private readonly LaunchEnvironment _launch;
    private readonly WorldLimits _limits;
    private readonly TimeProvider _time;
    private readonly TcpStore _store;
    private readonly Heartbeat _heartbeat;
    private readonly ProcessGroup _control;
    private ProcessGroup? _nccl;
    private int _awaited;
    private bool _reported;

    private World(LaunchEnvironment launch, WorldLimits limits, TimeProvider time, TcpStore store, Heartbeat heartbeat)
    {
        (_launch, _limits, _time, _store, _heartbeat) = (launch, limits, time, store, heartbeat);
        _control = Group(CommunicationBackend.Gloo);
    }

    /// <summary>Number of this process, from 0.</summary>
    public int Rank => _launch.Rank;

    /// <summary>Number of processes.</summary>
    public int Size => _launch.Size;

    /// <summary>Number of this process on its machine, from 0.</summary>
    public int LocalRank => _launch.LocalRank;

    /// <summary>Whether this process writes the run's files and shows its progress: rank 0.</summary>
    public bool IsMain => Rank == 0;

    /// <summary>Processes, for the summary of a run.</summary>
    public string Description =>
        string.Create(CultureInfo.InvariantCulture, $"{Size} processes, rendezvous at {_launch.Address}:{_launch.Port}");

    /// <summary>Device of a process: a separate GPU of its machine for each, unless the name has an index.</summary>
    /// <param name="name">Name of the device, as given.</param>
    /// <param name="world">All processes; null for a single one.</param>
    public static Device DeviceOf(string name, World? world)
    {
        ArgumentNullException.ThrowIfNull(name);
        var device = Device.Parse(name);
        return world is not null && device.Type == DeviceType.Cuda && !name.Contains(':') ? Device.Cuda(world.LocalRank) : device;
    }

    /// <summary>Finds the other processes.</summary>
    /// <param name="launch">Place of this process.</param>
    /// <param name="limits">Time limits.</param>
    /// <param name="time">Clock.</param>
    /// <exception cref="EnvironmentException">libtorch has no Gloo, or the processes did not find each other in time; names those that are
    /// missing.</exception>
    /// <exception cref="UsageException">The processes disagree about their number, or two have the same rank.</exception>
    public static World Join(LaunchEnvironment launch, WorldLimits limits, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(launch);
        ArgumentNullException.ThrowIfNull(limits);
        if (CommunicationBackends.ReasonWithout(CommunicationBackend.Gloo) is { } reason)
            throw new EnvironmentException($"Several processes cannot train together: {reason}.");
        var store = Rendezvous.Meet(launch, limits.Rendezvous, time);
        var heartbeat = new Heartbeat(() => Rendezvous.Connect(launch, limits.Rendezvous), launch.Rank);
        return new World(launch, limits, time, store, heartbeat);
    }

    /// <summary>States what this process does now, for the messages of others that wait for it.</summary>
    public void Enter(string phase)
    {
        var now = _time.GetUtcNow().ToString("HH:mm:ss", CultureInfo.InvariantCulture);
        Together(phase, () => _store.Set(PhaseKey(Rank), $"{phase} since {now} UTC"));
    }

    /// <summary>The texts of all processes, by rank.</summary>
    /// <exception cref="EnvironmentException">Another process has failed, ended, or is late.</exception>
    public string[] Gather(string what, string text) => Together(what, () => _control.AllGather(text));

    /// <summary>Rank 0's text, in all processes.</summary>
    /// <exception cref="EnvironmentException">As in <see cref="Gather(string, string)"/>.</exception>
    public string OfMain(string what, string text) => Gather(what, IsMain ? text : "")[0];

    /// <summary>Sum of a number over all processes, added in the order of their ranks.</summary>
    /// <exception cref="EnvironmentException">As in <see cref="Gather(string, string)"/>.</exception>
    public double Sum(string what, double value) =>
        Together(
            what,
            () =>
            {
                using var scope = TensorScope.Enter();
                return _control.AllGather(Tensor.From([value], 1)).Sum(static t => t.ToArray<double>()[0]);
            }
        );

    /// <summary>Whether a condition holds in any process, for each condition.</summary>
    /// <exception cref="EnvironmentException">As in <see cref="Gather(string, string)"/>.</exception>
    public bool[] Any(string what, params bool[] conditions) =>
        Together(
            what,
            () =>
            {
                using var scope = TensorScope.Enter();
                var values = Tensor.From(Array.ConvertAll(conditions, static c => c ? 1.0 : 0), conditions.Length);
                _control.AllReduceMaximum(values);
                return Array.ConvertAll(values.ToArray<double>(), static v => v > 0);
            }
        );

    /// <summary>Waits for all processes.</summary>
    /// <exception cref="EnvironmentException">As in <see cref="Gather(string, string)"/>.</exception>
    public void Barrier(string what) => Together(what, _control.Barrier);

    /// <summary>Runs work that leaves files on rank 0 first, without a time limit, then on the others, which find the files.</summary>
    /// <exception cref="EnvironmentException">Rank 0 has failed or ended.</exception>
    public void MainFirst(string what, Action work)
    {
        ArgumentNullException.ThrowIfNull(work);
        var key = $"done/{what}";
        if (IsMain)
        {
            work();
            Together(what, () => _store.Set(key, ""));
            return;
        }

        AwaitKey(key, what);
        work();
    }

    /// <inheritdoc/>
    public void AwaitMain(string what)
    {
        var key = string.Create(CultureInfo.InvariantCulture, $"main/{_awaited++}");
        if (IsMain)
            Together(what, () => _store.Set(key, ""));
        else
            AwaitKey(key, what);
        // Rank 0 serves the store: it must not end before the others have seen the key.
        Barrier(what);
    }

    /// <summary>Buckets of gradients, over NCCL if the device has it.</summary>
    /// <param name="parameters">Leaves that require gradients.</param>
    /// <param name="owners">Rank of the only process that receives a sum, for each parameter; null if all do.</param>
    internal GradientBuckets Buckets(IReadOnlyList<Tensor> parameters, IReadOnlyList<int>? owners = null) =>
        Together("prepare the gradients", () => new GradientBuckets(GroupOf(parameters[0].Device), parameters, owners: owners));

    /// <summary>The tensors of all processes by rank, of the same shape and type, over NCCL if their device has it.</summary>
    /// <exception cref="EnvironmentException">As in <see cref="Gather(string, string)"/>.</exception>
    public Tensor[] Gather(string what, Tensor tensor) => Together(what, () => GroupOf(tensor.Device).AllGather(tensor));

    /// <summary>Runs an operation of the group; a failure of libtorch becomes a message about the process at fault.</summary>
    internal T Together<T>(string what, Func<T> operation)
    {
        try
        {
            return operation();
        }
        catch (TorchException e)
        {
            throw Diagnose(what, e);
        }
    }

    /// <inheritdoc cref="Together{T}"/>
    internal void Together(string what, Action operation) =>
        Together(
            what,
            () =>
            {
                operation();
                return true;
            }
        );

    /// <summary>Leaves the other processes the message of an error, or that this one was interrupted.</summary>
    public void Fail(Exception failure)
    {
        ArgumentNullException.ThrowIfNull(failure);
        Fail(failure is OperationCanceledException ? "interrupted" : failure.Message);
    }

    /// <summary>Leaves the other processes a message, before this one ends with an error.</summary>
    /// <param name="message">What has failed.</param>
    public void Fail(string message)
    {
        if (_reported)
            return;
        _reported = true;
        try
        {
            if (!_store.Has(FailedKey))
                _store.Set(FailedKey, $"rank {Rank} has failed: {message}");
            // Closed connections end the waiting of the others. The threads of a group can wait for peers themselves.
            new Thread(DisposeGroups) { IsBackground = true }.Start();
            var start = _time.GetTimestamp();
            while (_launch.Serves && _store.Add(SeenKey, 0) < Size - 1 && _time.GetElapsedTime(start) < Rendezvous.Farewell)
                Thread.Sleep(50);
        }
        catch (TorchException)
        {
            // The server has ended, so that nobody reads the message.
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _heartbeat.Dispose();
        if (_reported)
            return;
        DisposeGroups();
        _store.Dispose();
    }

    private ProcessGroup GroupOf(Device device) =>
        device.Type == DeviceType.Cuda && CommunicationBackends.ReasonWithout(CommunicationBackend.Nccl) is null
            ? _nccl ??= Group(CommunicationBackend.Nccl)
            : _control;

    private ProcessGroup Group(CommunicationBackend backend) =>
        Together(
            $"connect by {backend.Name()}",
            () => ProcessGroup.Create(_store, backend, backend.Name(), Rank, Size, _limits.Collective, Rendezvous.AddressOf(_launch))
        );

    /// <summary>Waits for a key that rank 0 sets, without a time limit.</summary>
    private void AwaitKey(string key, string what)
    {
        Enter($"waiting for rank 0: {what}");
        for (var k = 1; !Together(what, () => _store.Has(key)); k++)
        {
            Thread.Sleep(100);
            if (k % 50 == 0 && Together(what, () => _store.Has(FailedKey) || Heartbeat.Stopped(_store, [0]).Length > 0))
                throw Diagnose(what, null);
        }
    }

    private static string PhaseKey(int rank) => string.Create(CultureInfo.InvariantCulture, $"phase/{rank}");

    private void DisposeGroups()
    {
        _nccl?.Dispose();
        _control.Dispose();
    }

    private PeerException Diagnose(string what, TorchException? cause)
    {
        string reason;
        try
        {
            reason = Failure() ?? Stopped() ?? Late() ?? "a connection has failed";
            if (!_launch.Serves)
                _store.Add(SeenKey, 1);
        }
        catch (TorchException)
        {
            reason =
                $"rank 0, which serves the rendezvous at {_launch.Address}:{_launch.Port}, has ended or is unreachable; see its output";
        }

        _reported = true;
        return new PeerException($"Rank {Rank} of {Size} stops ({what}): {reason}.", cause);
    }

    /// <summary>Message of a process that has failed, for which it has a moment after its connections have closed.</summary>
    private string? Failure()
    {
        var start = _time.GetTimestamp();
        do
        {
            if (_store.Has(FailedKey))
                return _store.Get(FailedKey, _limits.Rendezvous).TrimEnd('.');
            Thread.Sleep(50);
        } while (_time.GetElapsedTime(start) < TimeSpan.FromSeconds(0.5));
        return null;
    }

    private string? Stopped()
    {
        var stopped = Heartbeat.Stopped(_store, [.. Enumerable.Range(0, Size).Where(k => k != Rank)]);
        return stopped.Length == 0
            ? null
            : $"{Named(stopped)} ended without a message, or has been suspended or disconnected: {Phases(stopped)}";
    }

    private string? Late()
    {
        var own = PhaseOf(Rank);
        int[] others = [.. Enumerable.Range(0, Size).Where(k => k != Rank && !SamePhase(PhaseOf(k), own))];
        if (others.Length == 0)
            return null;
        var seconds = _limits.Collective.TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture);
        return $"{Named(others)} did not arrive within {seconds} s ({WorldLimits.CollectiveVariable}): {Phases(others)}";
    }

    private static bool SamePhase(string a, string b) => a.Split(" since ")[0] == b.Split(" since ")[0];

    private static string Named(int[] ranks) => $"rank{(ranks.Length == 1 ? "" : "s")} {string.Join(", ", ranks)}";

    private string Phases(int[] ranks) => string.Join("; ", ranks.Select(k => $"rank {k} was in {PhaseOf(k)}"));

    private string PhaseOf(int rank) => _store.Has(PhaseKey(rank)) ? _store.Get(PhaseKey(rank), _limits.Rendezvous) : "its start";
}
