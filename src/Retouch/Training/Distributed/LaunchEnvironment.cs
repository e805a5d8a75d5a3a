using System.Globalization;
using System.Text.RegularExpressions;
using Retouch.Core.Errors;

namespace Retouch.Training.Distributed;

/// <summary>
/// This process's place among those that train together, from the environment variables of their launcher: torchrun's (RANK, WORLD_SIZE,
/// LOCAL_RANK, MASTER_ADDR, MASTER_PORT), Open MPI's (OMPI_COMM_WORLD_*) or Slurm's (SLURM_*).
/// </summary>
/// <param name="Rank">Number of this process, 0 to <paramref name="Size"/> − 1.</param>
/// <param name="Size">Number of processes, at least 2.</param>
/// <param name="LocalRank">Number among the processes of this machine: the index of its GPU.</param>
/// <param name="Address">Name or address of the machine of rank 0.</param>
/// <param name="Port">Port of the rendezvous on that machine.</param>
public sealed partial record LaunchEnvironment(int Rank, int Size, int LocalRank, string Address, int Port)
{
    /// <summary>Variable with the number of times that torchrun, or <c>--max-restarts</c>, has started the processes again.</summary>
    public const string RestartsName = "TORCHELASTIC_RESTART_COUNT";

    /// <summary>PyTorch's default port.</summary>
    public const int DefaultPort = 29500;

    /// <summary>Whether this process serves the rendezvous; otherwise another rank does, or torchrun.</summary>
    public bool Serves { get; init; } = Rank == 0;

    /// <summary>Precedes the keys of the rendezvous; empty for none.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>Whether the rendezvous is on this machine's loopback interface.</summary>
    public bool IsLocal => Address is "localhost" or "::1" || Address.StartsWith("127.", StringComparison.Ordinal);

    /// <summary>
    /// The largest number of processes that can share the micro-batches of a step evenly, at most <see cref="Size"/>.
    /// </summary>
    /// <param name="micros">Micro-batches per step over all processes, at least 1.</param>
    public int Useful(int micros)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(micros, 1);
        return Enumerable.Range(1, Math.Min(Size, micros)).Last(n => micros % n == 0);
    }

    /// <summary>How often the launcher has started this job again after a failure; also for a single process.</summary>
    /// <param name="variable">Value of an environment variable, or null.</param>
    /// <exception cref="UsageException">A variable is out of range.</exception>
    public static int RestartsOf(Func<string, string?> variable)
    {
        ArgumentNullException.ThrowIfNull(variable);
        return new[] { RestartsName, "SLURM_RESTART_COUNT" }.Max(name =>
            variable(name) is { Length: > 0 } ? Number(variable, name, 0, int.MaxValue, 0) : 0
        );
    }

    /// <summary>Reads the variables; null without a launcher, or if it started a single process.</summary>
    /// <param name="variable">Value of an environment variable, or null.</param>
    /// <exception cref="UsageException">A variable is missing or out of range.</exception>
    public static LaunchEnvironment? Of(Func<string, string?> variable)
    {
        ArgumentNullException.ThrowIfNull(variable);
        string? Value(string name) => variable(name) is { Length: > 0 } value ? value : null;
        if (Value("RANK") is not null || Value("WORLD_SIZE") is not null)
            return Of(Value, "RANK", "WORLD_SIZE", "LOCAL_RANK", static () => null, static () => null);
        if (Value("OMPI_COMM_WORLD_SIZE") is { } all)
            return Of(
                Value,
                "OMPI_COMM_WORLD_RANK",
                "OMPI_COMM_WORLD_SIZE",
                "OMPI_COMM_WORLD_LOCAL_RANK",
                () => Value("OMPI_COMM_WORLD_LOCAL_SIZE") == all ? "127.0.0.1" : null,
                static () => DefaultPort
            );
        if (Value("SLURM_PROCID") is not null && Value("SLURM_NTASKS") is not null)
            return Of(
                Value,
                "SLURM_PROCID",
                "SLURM_NTASKS",
                "SLURM_LOCALID",
                () =>
                    (Value("SLURM_STEP_NODELIST") ?? Value("SLURM_JOB_NODELIST") ?? Value("SLURM_NODELIST")) is { } nodes
                        ? First(nodes)
                        : null,
                // Jobs that share a machine get different ports.
                () =>
                    Value("SLURM_JOB_ID") is { } id && long.TryParse(id, CultureInfo.InvariantCulture, out var job)
                        ? 15000 + (int)(job % 10000)
                        : DefaultPort
            );
        return null;
    }

    private static LaunchEnvironment? Of(
        Func<string, string?> value,
        string rankName,
        string sizeName,
        string localName,
        Func<string?> address,
        Func<int?> port
    )
    {
        var size = Number(value, sizeName, 1, 1 << 20, null);
        var rank = Number(value, rankName, 0, size - 1, null);
        if (size == 1)
            return null;
        var local = Number(value, localName, 0, 1 << 20, rank);
        var agent = value("TORCHELASTIC_USE_AGENT_STORE") == "True";
        var restarts = Number(value, RestartsName, 0, int.MaxValue, 0);
        return new LaunchEnvironment(
            rank,
            size,
            local,
            value("MASTER_ADDR")
                ?? address()
                ?? throw Missing("MASTER_ADDR", $"the address of the machine of rank 0, as {sizeName} is {size}"),
            Number(value, "MASTER_PORT", 1, 65535, port())
        )
        {
            Serves = rank == 0 && !agent,
            // torchrun's server outlives an attempt: each has separate keys, as in PyTorch.
            Prefix = agent ? string.Create(CultureInfo.InvariantCulture, $"/worker/attempt_{restarts}/") : "",
        };
    }

    private static int Number(Func<string, string?> value, string name, int least, int most, int? otherwise)
    {
        if (value(name) is not { } text)
            return otherwise ?? throw Missing(name, "a number");
        return
            int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            && number >= least
            && number <= most
            ? number
            : throw new UsageException($"The environment variable {name} is '{text}'; it must be a number from {least} to {most}.");
    }

    private static UsageException Missing(string name, string what) =>
        new(
            $"The environment variable {name} is missing: {what}. Start all processes with torchrun, srun, mpirun or retouch train "
                + "--nproc, or set RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT (docs/scaling.md)."
        );

    /// <summary>First host of Slurm's list of nodes, such as <c>gpu[003-005,9],cpu1</c>.</summary>
    private static string First(string nodes)
    {
        var match = Range().Match(nodes);
        return match.Success ? match.Groups["stem"].Value + match.Groups["first"].Value + match.Groups["rest"].Value : nodes.Split(',')[0];
    }

    [GeneratedRegex(@"^(?<stem>[^,\[]*)\[(?<first>[^,\-\]]+)[^\]]*\](?<rest>[^,\[]*)")]
    private static partial Regex Range();
}
