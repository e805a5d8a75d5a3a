using Retouch.Torch.Diagnostics;

namespace Retouch.Torch.Tests;

/// <summary>Times by phase.</summary>
public sealed class PhaseClockTests
{
    [Fact]
    public void A_phase_excludes_the_time_of_nested_phases()
    {
        var time = new Hands();
        var clock = new PhaseClock(time, Device.Cpu) { Running = true };
        using (clock.Enter("outer"))
        {
            time.Move(1);
            using (clock.Enter("inner"))
                time.Move(10);
            time.Move(2);
            using (clock.Enter("inner"))
                time.Move(20);
        }

        time.Move(100);
        using (clock.Enter("outer"))
            time.Move(4);
        Assert.Equal(7, clock.Spent["outer"].TotalSeconds);
        Assert.Equal(30, clock.Spent["inner"].TotalSeconds);
        Assert.Equal(2, clock.Spent.Count);
    }

    [Fact]
    public void A_disabled_clock_counts_nothing()
    {
        var time = new Hands();
        var clock = new PhaseClock(time, Device.Cpu);
        using (clock.Enter("phase"))
            time.Move(1);
        Assert.Empty(clock.Spent);
    }

    private sealed class Hands : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => 1000;

        public override long GetTimestamp() => _now;

        public void Move(int seconds) => _now += 1000 * seconds;
    }
}
