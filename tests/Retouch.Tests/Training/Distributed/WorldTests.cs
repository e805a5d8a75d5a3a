using System.Net;
using System.Net.Sockets;
using Retouch.Core.Errors;
using Retouch.Training.Distributed;

namespace Retouch.Tests.Training.Distributed;

/// <summary>Processes find each other, and errors name the process at fault.</summary>
public sealed class WorldTests
{
    private static readonly WorldLimits Impatient = new(TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(3));

    /// <summary>
    /// Accepts connections (in the backlog) and never answers. It stays open: the abandoned thread of libtorch 1.13 would end the process
    /// when the connection is reset.
    /// </summary>
    private static readonly TcpListener Foreign = new(IPAddress.Loopback, 0);

    private static Exception? Join(int rank, int size, int port, WorldLimits? limits = null) =>
        Record.Exception(() =>
        {
            using var world = World.Join(
                new LaunchEnvironment(rank, size, rank, "127.0.0.1", port),
                limits ?? Impatient,
                TimeProvider.System
            );
            world.Barrier("test");
        });

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Numbers_texts_and_conditions_are_shared(int size) =>
        Worlds.Run(
            size,
            world =>
            {
                Assert.Equal(size * (size + 1) / 2, world.Sum("test", world.Rank + 1));
                Assert.Equal(Enumerable.Range(0, size).Select(static r => $"rank {r}"), world.Gather("test", $"rank {world.Rank}"));
                Assert.Equal("rank 0", world.OfMain("test", $"rank {world.Rank}"));
                Assert.Equal([false, true, true], world.Any("test", false, world.Rank == size - 1, true));
                Assert.Equal(world.Rank == 0, world.IsMain);
            }
        );

    [Fact]
    public void Work_with_files_is_done_by_rank_0_first()
    {
        List<int> order = [];
        Worlds.Run(
            3,
            world =>
            {
                world.MainFirst(
                    "test",
                    () =>
                    {
                        if (world.IsMain)
                            Thread.Sleep(300);
                        lock (order)
                            order.Add(world.Rank);
                    }
                );
                world.Barrier("test");
            }
        );
        Assert.Equal(0, order[0]);
        Assert.Equal([0, 1, 2], order.Order());
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Rank_0_may_be_later_than_the_time_limit()
    {
        var isThere = false;
        var failures = Worlds.Try(
            2,
            world =>
            {
                if (world.IsMain)
                {
                    Thread.Sleep(6000);
                    isThere = true;
                }

                world.AwaitMain("test");
                Assert.True(isThere);
                // Another wait of the same name.
                world.AwaitMain("test");
            },
            Worlds.Patient with
            {
                Collective = TimeSpan.FromSeconds(4),
            }
        );
        Assert.Equal(new Exception?[2], failures);
    }

    [Fact]
    public void A_missing_rank_is_named_by_all_others()
    {
        var port = Worlds.FreePort();
        var failures = Worlds.Parallel(3, rank => Assert.Null(rank == 1 ? null : Join(rank, 3, port)));
        Assert.Null(failures[1]);
        Assert.Contains($"Rank 0 of 3 waited 3 s (RETOUCH_RENDEZVOUS_TIMEOUT) at 127.0.0.1:{port} for rank 1.", failures[0]!.Message);
        // Rank 0 may have ended before.
        Assert.Contains("Rank 2 of 3", failures[2]!.Message);
    }

    [Fact]
    public void A_missing_rank_0_is_an_error_with_its_address()
    {
        var port = Worlds.FreePort();
        var error = Assert.IsType<EnvironmentException>(Join(1, 2, port));
        Assert.Contains($"Rank 1 of 2 got no answer of rank 0 at 127.0.0.1:{port} within 3 s", error.Message);
    }

    [Fact]
    public void A_foreign_server_is_an_error_within_the_limit()
    {
        Foreign.Start();
        var error = Assert.IsType<EnvironmentException>(Join(1, 2, ((IPEndPoint)Foreign.LocalEndpoint).Port));
        Assert.Contains("Rank 1 of 2 got no answer", error.Message);
    }

    [Fact]
    public void A_port_in_use_is_an_error_of_rank_0()
    {
        using var listener = new TcpListener(IPAddress.IPv6Any, 0);
        listener.Server.DualMode = true;
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        var error = Assert.IsType<EnvironmentException>(Join(0, 2, port));
        Assert.Contains($"Rank 0 cannot listen at 127.0.0.1:{port}: the port is in use. Set MASTER_PORT", error.Message);
    }

    [Fact]
    public void Different_numbers_of_processes_are_an_error_of_all()
    {
        var port = Worlds.FreePort();
        var failures = Worlds.Parallel(2, rank => Assert.Null(Join(rank, rank == 0 ? 2 : 3, port, Worlds.Patient)));
        Assert.All(failures, static f => Assert.Contains("WORLD_SIZE must be equal", f!.Message));
    }

    [Fact]
    public void Two_processes_of_a_rank_are_an_error_of_all()
    {
        var port = Worlds.FreePort();
        var failures = Worlds.Parallel(3, k => Assert.Null(Join(k == 0 ? 0 : 1, 3, port, Worlds.Patient)));
        Assert.All(failures, static f => Assert.Contains("Two processes have rank 1 of 3", f!.Message));
    }

    [Fact]
    public void A_failure_reaches_the_others_as_its_message()
    {
        var failures = Worlds.Try(
            3,
            static world =>
            {
                if (world.Rank == 1)
                {
                    world.Fail("'x.png' is corrupt.");
                    throw new InputException("'x.png' is corrupt.");
                }

                world.Barrier("test");
            }
        );
        Assert.IsType<InputException>(failures[1]);
        foreach (var rank in (int[])[0, 2])
            Assert.Equal(
                $"Rank {rank} of 3 stops (test): rank 1 has failed: 'x.png' is corrupt.",
                Assert.IsType<PeerException>(failures[rank]).Message
            );
    }

    [Fact]
    public void A_failure_of_rank_0_reaches_the_others_as_its_message()
    {
        var failures = Worlds.Try(
            2,
            static world =>
            {
                if (world.IsMain)
                {
                    world.Fail("The disk is full.");
                    throw new EnvironmentException("The disk is full.");
                }

                world.Barrier("test");
            }
        );
        Assert.Equal("Rank 1 of 2 stops (test): rank 0 has failed: The disk is full.", failures[1]!.Message);
    }

    [Fact]
    public void A_late_process_is_named_with_what_it_waits_for()
    {
        using var others = new CountdownEvent(2);
        var failures = Worlds.Try(
            3,
            world =>
            {
                if (world.Rank == 1)
                {
                    world.Enter("step 7, waiting for data");
                    others.Wait(TimeSpan.FromSeconds(60));
                    return;
                }

                world.Enter("step 7, sum of gradients");
                try
                {
                    world.Barrier("sum of gradients");
                }
                finally
                {
                    others.Signal();
                }
            },
            new WorldLimits(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(3))
        );
        // The other waiting process can end first, and rank 1 is named all the same.
        var message = Assert.IsType<PeerException>(failures[0]).Message;
        Assert.StartsWith("Rank 0 of 3 stops (sum of gradients): rank 1 did not arrive within 3 s", message);
        Assert.Contains("rank 1 was in step 7, waiting for data since ", message);
    }
}
