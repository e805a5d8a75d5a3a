using System.Net;
using System.Net.Sockets;
using Retouch.Torch.Distributed;

namespace Retouch.Torch.Tests.Distributed;

public sealed class ProcessGroupTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void Collective_operations_see_the_tensors_of_all_ranks(int size) =>
        Ranks.Run(
            size,
            group =>
            {
                var own = Tensor.From([1.0, group.Rank, group.Rank * group.Rank], 3);
                var sum = own.Clone();
                group.AllReduce(sum);
                Assert.Equal([size, size * (size - 1) / 2.0, (size - 1) * size * ((2 * size) - 1) / 6.0], sum.ToArray<double>());
                var largest = own.Clone();
                group.AllReduceMaximum(largest);
                Assert.Equal([1.0, size - 1, (size - 1) * (size - 1)], largest.ToArray<double>());
                var last = own.Clone();
                group.Broadcast(last, size - 1);
                Assert.Equal([1.0, size - 1, (size - 1) * (size - 1)], last.ToArray<double>());
                group.Barrier();
                var all = group.AllGather(own);
                Assert.Equal(Enumerable.Range(0, size).Select(static r => (double)(r * r)), all.Select(static t => t.ToArray<double>()[2]));
            }
        );

    [Fact]
    public void Every_type_is_gathered_by_its_bits() =>
        Ranks.Run(
            2,
            group =>
            {
                foreach (var type in (DType[])[DType.Float32, DType.Float64, DType.Float16, DType.BFloat16, DType.UInt8, DType.Int64])
                {
                    var all = group.AllGather(Ops.Full([3], 100 + group.Rank, dtype: type));
                    Assert.Equal([type, type], all.Select(static t => t.DType));
                    Assert.Equal([100, 101], all.Select(static t => t.To(DType.Float64).ToArray<double>()[2]));
                }
            }
        );

    [Fact]
    public void Texts_of_any_length_are_gathered() =>
        Ranks.Run(
            3,
            group =>
            {
                string[] texts = ["", "ε̂ of rank 1", new('x', 5000)];
                Assert.Equal(texts, group.AllGather(texts[group.Rank]));
                Assert.Equal(["", "", ""], group.AllGather(""));
            }
        );

    [Theory]
    [InlineData(DType.Float32)]
    [InlineData(DType.Float64)]
    [InlineData(DType.Float16)]
    [InlineData(DType.Int64)]
    public void Sums_are_exact_in_every_type(DType type) =>
        Ranks.Run(
            2,
            group =>
            {
                var value = Ops.Full([1000], group.Rank + 1, dtype: type);
                group.AllReduce(value);
                Assert.All(value.ToArray<double>(), static v => Assert.Equal(3, v));
            }
        );

    [Fact]
    public void A_rank_that_does_not_answer_is_an_error_with_rank_and_operation()
    {
        using var other = new ManualResetEventSlim();
        Exception? seen = null;
        Ranks.Run(
            2,
            group =>
            {
                if (group.Rank == 1)
                {
                    other.Wait(Ranks.Patience);
                    return;
                }

                seen = Record.Exception(() => group.AllReduce(Ops.Ones([3])));
                other.Set();
            },
            TimeSpan.FromSeconds(2)
        );
        Assert.StartsWith("rank 0 of 2, all-reduce: ", Assert.IsType<TorchException>(seen).Message);
    }

    [Fact]
    public void A_rank_that_has_ended_is_an_error_long_before_the_limit() =>
        Ranks.Run(
            2,
            group =>
            {
                if (group.Rank == 1)
                    return;
                var error = Assert.Throws<TorchException>(() =>
                {
                    // The other rank's group is disposed at any moment; a barrier cannot pass without it.
                    for (var k = 0; k < 2; k++)
                        group.Barrier();
                });
                Assert.StartsWith("rank 0 of 2, barrier: ", error.Message);
            },
            TimeSpan.FromMinutes(10)
        );

    [Fact]
    public void A_missing_rank_ends_the_creation_of_a_group()
    {
        using var store = TcpStore.Serve(Ranks.Loopback, 0, Ranks.Patience);
        var error = Assert.Throws<TorchException>(() =>
            ProcessGroup.Create(store, CommunicationBackend.Gloo, "test", 0, 2, TimeSpan.FromSeconds(1), Ranks.Loopback)
        );
        Assert.StartsWith("rank 0 of 2, create group 'test' (gloo): ", error.Message);
    }

    [Fact]
    public void A_missing_server_is_an_error()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        var error = Assert.Throws<TorchException>(() => TcpStore.Connect(Ranks.Loopback, port, TimeSpan.FromSeconds(2)));
        Assert.StartsWith($"store at 127.0.0.1:{port}: ", error.Message);
    }

    [Fact]
    public void Values_of_a_store_are_seen_by_all_and_counted_once()
    {
        using var server = TcpStore.Serve(Ranks.Loopback, 0, Ranks.Patience, "run/");
        using var client = TcpStore.Connect(Ranks.Loopback, server.Port, Ranks.Patience, "run/");
        using var foreign = TcpStore.Connect(Ranks.Loopback, server.Port, Ranks.Patience);
        Assert.False(client.Has("key"));
        server.Set("key", "ä, at last");
        Assert.True(client.Has("key"));
        Assert.False(foreign.Has("key"));
        Assert.Equal("ä, at last", client.Get("key", Ranks.Patience));
        Assert.Equal(2, server.Add("count", 2));
        Assert.Equal(5, client.Add("count", 3));
        Assert.Throws<TorchException>(() => client.Get("absent", TimeSpan.FromMilliseconds(300)));
    }

    [Fact]
    public void A_missing_backend_is_named_with_its_remedy()
    {
        Assert.Null(CommunicationBackends.ReasonWithout(CommunicationBackend.Gloo));
        if (CommunicationBackends.ReasonWithout(CommunicationBackend.Nccl) is not { } reason)
            return;
        Assert.Contains("libnccl-dev", reason);
        using var store = TcpStore.Serve(Ranks.Loopback, 0, Ranks.Patience);
        var error = Assert.Throws<TorchException>(() =>
            ProcessGroup.Create(store, CommunicationBackend.Nccl, "test", 0, 1, Ranks.Patience)
        );
        Assert.Contains(reason, error.Message);
    }
}
