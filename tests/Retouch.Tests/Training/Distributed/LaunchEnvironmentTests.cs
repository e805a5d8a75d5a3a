using Retouch.Core.Errors;
using Retouch.Training.Distributed;

namespace Retouch.Tests.Training.Distributed;

public sealed class LaunchEnvironmentTests
{
    private static LaunchEnvironment? Of(string variables)
    {
        var set = variables
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(static v => v.Split('=', 2))
            .ToDictionary(static v => v[0], static v => v[1]);
        return LaunchEnvironment.Of(name => set.GetValueOrDefault(name));
    }

    [Theory]
    [InlineData("RANK=3 WORLD_SIZE=8 LOCAL_RANK=1 MASTER_ADDR=gpu7 MASTER_PORT=1234", 3, 8, 1, "gpu7", 1234)]
    [InlineData("RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500", 0, 2, 0, "127.0.0.1", 29500)]
    [InlineData(
        "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=4",
        1,
        4,
        1,
        "127.0.0.1",
        29500
    )]
    [InlineData(
        "OMPI_COMM_WORLD_RANK=5 OMPI_COMM_WORLD_SIZE=8 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=4 MASTER_ADDR=a",
        5,
        8,
        1,
        "a",
        29500
    )]
    [InlineData(
        "SLURM_PROCID=2 SLURM_NTASKS=4 SLURM_LOCALID=0 SLURM_JOB_ID=71234 SLURM_STEP_NODELIST=gpu[03-05,9],cpu1",
        2,
        4,
        0,
        "gpu03",
        16234
    )]
    [InlineData("SLURM_PROCID=2 SLURM_NTASKS=4 SLURM_LOCALID=0 SLURM_JOB_NODELIST=cpu1,gpu[03-05]", 2, 4, 0, "cpu1", 29500)]
    [InlineData("SLURM_PROCID=0 SLURM_NTASKS=2 SLURM_LOCALID=0 SLURM_JOB_NODELIST=rack[2-3]n MASTER_PORT=99", 0, 2, 0, "rack2n", 99)]
    // A launcher inside an allocation of Slurm precedes it.
    [InlineData("RANK=1 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=5 SLURM_PROCID=0 SLURM_NTASKS=1", 1, 2, 1, "a", 5)]
    public void Variables_of_every_launcher_are_understood(string variables, int rank, int size, int local, string address, int port) =>
        Assert.Equal(
            (rank, size, local, address, port),
            Of(variables) is { } e ? (e.Rank, e.Size, e.LocalRank, e.Address, e.Port) : default
        );

    [Theory]
    [InlineData("")]
    [InlineData("MASTER_ADDR=a MASTER_PORT=5")]
    [InlineData("RANK=0 WORLD_SIZE=1")]
    [InlineData("SLURM_PROCID=0 SLURM_NTASKS=1")]
    [InlineData("OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1")]
    public void A_single_process_needs_no_rendezvous(string variables) => Assert.Null(Of(variables));

    [Theory]
    [InlineData("RANK=1", "WORLD_SIZE is missing")]
    [InlineData("WORLD_SIZE=2", "RANK is missing")]
    [InlineData("RANK=2 WORLD_SIZE=2", "RANK is '2'; it must be a number from 0 to 1")]
    [InlineData("RANK=-1 WORLD_SIZE=2", "RANK is '-1'")]
    [InlineData("RANK=x WORLD_SIZE=2", "RANK is 'x'")]
    [InlineData("RANK=1 WORLD_SIZE=2 MASTER_PORT=5", "MASTER_ADDR is missing")]
    [InlineData("RANK=1 WORLD_SIZE=2 MASTER_ADDR=a", "MASTER_PORT is missing")]
    [InlineData("RANK=1 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=70000", "MASTER_PORT is '70000'; it must be a number from 1 to 65535")]
    [InlineData("OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_SIZE=2", "MASTER_ADDR is missing")]
    public void Missing_and_wrong_variables_are_named(string variables, string message) =>
        Assert.Contains(message, Assert.Throws<UsageException>(() => Of(variables)).Message);

    [Fact]
    public void Torchrun_serves_the_rendezvous_itself_with_keys_for_each_attempt()
    {
        const string variables = "RANK=0 WORLD_SIZE=2 LOCAL_RANK=0 MASTER_ADDR=a MASTER_PORT=5";
        var own = Of(variables)!;
        Assert.Equal((true, ""), (own.Serves, own.Prefix));
        var agent = Of($"{variables} TORCHELASTIC_USE_AGENT_STORE=True TORCHELASTIC_RESTART_COUNT=2")!;
        Assert.Equal((false, "/worker/attempt_2/"), (agent.Serves, agent.Prefix));
        Assert.False(Of("RANK=1 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=5")!.Serves);
    }

    [Theory]
    [InlineData(4, 4, 4)]
    [InlineData(3, 4, 2)]
    [InlineData(7, 8, 4)]
    [InlineData(8, 4, 4)]
    [InlineData(5, 3, 3)]
    [InlineData(4, 5, 1)]
    public void The_micro_batches_are_shared_by_as_many_as_divide_them(int size, int micros, int useful) =>
        Assert.Equal(useful, new LaunchEnvironment(0, size, 0, "a", 1).Useful(micros));

    [Theory]
    [InlineData(null, null, 0)]
    [InlineData("2", null, 2)]
    [InlineData("", "3", 3)]
    [InlineData("1", "0", 1)]
    public void Restarts_are_counted_for_a_single_process_too(string? torchrun, string? slurm, int expected) =>
        Assert.Equal(
            expected,
            LaunchEnvironment.RestartsOf(name =>
                name == LaunchEnvironment.RestartsName ? torchrun
                : name[0] == 'S' ? slurm
                : null
            )
        );

    [Theory]
    [InlineData("", 300, 1800)]
    [InlineData("RETOUCH_RENDEZVOUS_TIMEOUT=2.5 RETOUCH_COLLECTIVE_TIMEOUT=60", 2.5, 60)]
    public void Limits_are_read_in_seconds(string variables, double rendezvous, double collective)
    {
        var set = variables
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(static v => v.Split('='))
            .ToDictionary(static v => v[0], static v => v[1]);
        var limits = WorldLimits.Of(name => set.GetValueOrDefault(name));
        Assert.Equal((rendezvous, collective), (limits.Rendezvous.TotalSeconds, limits.Collective.TotalSeconds));
        Assert.Contains("is '-1'", Assert.Throws<UsageException>(() => WorldLimits.Of(static _ => "-1")).Message);
    }
}
