using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training.Telemetry;

public sealed class ProgressTests : IDisposable
{
    private readonly ManualTime time = new();
    private readonly StringWriter writer = new() { NewLine = "\n" };

    public void Dispose() => writer.Dispose();

    private string[] Lines => writer.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);

    [Fact]
    public void PlainLines_ShowFirstStep_OnePerInterval_AndTheLast()
    {
        using var line = new PlainProgressLine(writer, time, TimeSpan.FromSeconds(5));
        for (var step = 1; step <= 20; step++)
        {
            line.Report(new(step, 20));
            time.Advance(1);
        }

        Assert.Equal(
            [
                "step 1/20 (5.0 %)",
                "step 6/20 (30 %)  1.0 s/step  14.0 s left",
                "step 11/20 (55 %)  1.0 s/step  9.0 s left",
                "step 16/20 (80 %)  1.0 s/step  4.0 s left",
                "step 20/20 (100 %)  1.0 s/step",
            ],
            Lines
        );
    }

    [Fact]
    public void PlainLines_ShowLossesWithSharesAndMemory_WithoutEscapeCodes()
    {
        using var line = new PlainProgressLine(writer, time, TimeSpan.FromSeconds(5));
        line.Report(
            new(1200, 10000)
            {
                Loss = 0.41234,
                Terms = [new("latent", 0.33, 0.33, 0.8), new("lpl", 0.08234, 0.08234, 0.2)],
                MemoryBytes = 3L << 30,
            }
        );
        line.Note("checkpoint written");

        Assert.Equal(
            ["step 1,200/10,000 (12 %)  loss 0.4123 = latent 0.3300 (80 %) + lpl 0.08234 (20 %)  3.0 GiB", "checkpoint written"],
            Lines
        );
        Assert.DoesNotContain('\e', writer.ToString());
    }

    [Fact]
    public void PlainLines_ShowWhereAnInterruptedRunStopped()
    {
        using (var line = new PlainProgressLine(writer, time, TimeSpan.FromSeconds(60)))
        {
            line.Report(new(1, 9));
            line.Report(new(2, 9));
            Assert.Single(Lines);
        }

        Assert.StartsWith("step 2/9", Lines[^1], StringComparison.Ordinal);
        Assert.Equal(2, Lines.Length);
    }

    [Fact]
    public void StepClock_KnowsNothingFromOneReport_AndLeavesOutWhatCameBeforeIt()
    {
        var clock = new StepClock(time);
        time.Advance(100);
        clock.Advance(500);
        Assert.Null(clock.SecondsPerStep);
        Assert.Null(clock.Remaining(1000));

        time.Advance(4);
        clock.Advance(502);
        Assert.Equal(2, clock.SecondsPerStep!.Value, 12);
        Assert.Equal(996, clock.Remaining(1000)!.Value.TotalSeconds, 6);
        Assert.Equal(TimeSpan.Zero, clock.Remaining(400));
    }

    [Fact]
    public void StepClock_WeighsOneReportOfManySteps_AsManyReports()
    {
        var single = new StepClock(time);
        var jumping = new StepClock(time);
        single.Advance(0);
        jumping.Advance(0);
        for (var step = 1; step <= 12; step++)
        {
            time.Advance(step <= 6 ? 1 : 3);
            single.Advance(step);
            if (step % 6 == 0)
                jumping.Advance(step);
        }

        Assert.Equal(single.SecondsPerStep!.Value, jumping.SecondsPerStep!.Value, 12);
        Assert.InRange(single.SecondsPerStep.Value, 2.0, 3.0); // the later, slower steps weigh more
    }
}
