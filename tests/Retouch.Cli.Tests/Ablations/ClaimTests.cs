using System.Diagnostics;
using Retouch.Experiments.Ablations;
using Retouch.Training.Options;

namespace Retouch.Cli.Tests.Ablations;

public sealed class ClaimTests : IDisposable
{
    private static readonly TimeSpan Stale = TimeSpan.FromSeconds(80);
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-claims-").FullName;
    private readonly SteppedTime _time = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_claim_is_valid_until_released()
    {
        var (one, two) = (New(), New());
        using (var claim = one.TryTake("a"))
        {
            Assert.NotNull(claim);
            Assert.Null(two.TryTake("a"));
            using var other = two.TryTake("a-b");
            Assert.NotNull(other);
        }

        using var next = two.TryTake("a");
        Assert.NotNull(next);
        Assert.False(next.TakenOver);
        Assert.Null(one.TryTake("a"));
    }

    [Fact]
    public void Exactly_one_of_many_concurrent_claims_succeeds()
    {
        for (var round = 0; round < 20; round++)
        {
            var taken = new Claim?[8];
            Parallel.For(
                0,
                taken.Length,
                new ParallelOptions { MaxDegreeOfParallelism = taken.Length },
                k => taken[k] = New().TryTake($"work-{round / 2}")
            );
            Assert.Single(taken, static claim => claim is not null);
            // Odd rounds take over claims released in even ones.
            foreach (var claim in taken)
                claim?.Dispose();
        }
    }

    [Fact]
    public void The_claim_of_a_dead_process_is_taken_over_at_once()
    {
        using (var sleeping = Process.Start("sleep", "600"))
        {
            Leave("a", 1, ClaimOwner.Me with { Process = sleeping.Id, Started = ClaimOwner.StartOf(sleeping.Id)! });
            Assert.Null(New().TryTake("a"));
            sleeping.Kill();
            sleeping.WaitForExit();
        }

        using var claim = New().TryTake("a");
        Assert.True(claim!.TakenOver);

        // A reused PID is another process.
        Leave("b", 1, ClaimOwner.Me with { Started = "1" });
        using var again = New().TryTake("b");
        Assert.True(again!.TakenOver);
    }

    [Fact]
    public void A_claim_of_another_machine_expires_without_heartbeats()
    {
        var elsewhere = new ClaimOwner
        {
            Machine = "elsewhere",
            Process = 1,
            Started = "1",
        };
        Leave("a", 1, elsewhere);
        var claims = New();
        Assert.Null(claims.TryTake("a"));
        _time.Step(Stale - TimeSpan.FromSeconds(1));
        Assert.Null(claims.TryTake("a"));
        Leave("a", 1, elsewhere with { Beat = 1 });
        _time.Step(Stale);
        // The new heartbeat is observed now, which restarts the period.
        Assert.Null(claims.TryTake("a"));
        _time.Step(Stale);
        using var claim = claims.TryTake("a");
        Assert.True(claim!.TakenOver);
    }

    [Fact]
    public void A_suspended_process_detects_the_loss_of_its_claim()
    {
        using var claim = New().TryTake("a");
        claim!.Beat();
        Assert.False(claim.Lost.IsCancellationRequested);
        Leave("a", 2, new ClaimOwner { Machine = "elsewhere" });
        claim.Beat();
        Assert.True(claim.Lost.IsCancellationRequested);
    }

    [Fact]
    public void An_incomplete_claim_file_has_no_owner()
    {
        File.WriteAllText(Path.Combine(_folder, "a.1"), "");
        Assert.Null(New().TryTake("a"));
    }

    private ClaimFolder New() => new(_folder, _time, Stale);

    private void Leave(string id, int generation, ClaimOwner owner) => OptionsFile.Save(owner, ClaimFolder.FileOf(_folder, id, generation));

    /// <summary>A clock advanced by the test; its timers never fire.</summary>
    private sealed class SteppedTime : TimeProvider
    {
        private long _now;

        public void Step(TimeSpan by) => _now += by.Ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => new Still();

        private sealed class Still : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose() { }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
