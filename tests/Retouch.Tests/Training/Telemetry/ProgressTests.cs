using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training.Telemetry;

public sealed class ProgressTests : IDisposable
{
    private readonly ManualTime _time = new();
    private readonly StringWriter _writer = new() { NewLine = "\n" };

    public void Dispose() => _writer.Dispose();

    private string[] Lines => _writer.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);

    [Fact]
    public void Plain_lines_show_the_first_and_last_step_and_one_per_interval()
    {
        using var line = new PlainProgressLine(_writer, _time, TimeSpan.FromSeconds(5));
        for (var step = 1; step <= 20; step++)
        {
            line.Report(new(step, 20));
            _time.Advance(1);
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
    public void Plain_lines_show_losses_with_shares_and_memory_without_escape_codes()
    {
        using var line = new PlainProgressLine(_writer, _time, TimeSpan.FromSeconds(5));
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
        Assert.DoesNotContain('\e', _writer.ToString());
    }

    [Fact]
    public void Plain_lines_show_where_an_interrupted_run_stopped()
    {
        using (var line = new PlainProgressLine(_writer, _time, TimeSpan.FromSeconds(60)))
        {
            line.Report(new(1, 9));
            line.Report(new(2, 9));
            Assert.Single(Lines);
        }

        Assert.StartsWith("step 2/9", Lines[^1], StringComparison.Ordinal);
        Assert.Equal(2, Lines.Length);
    }

    [Fact]
    public void Another_unit_has_its_own_line_and_pace()
    {
        using var line = new PlainProgressLine(_writer, _time, TimeSpan.FromSeconds(5));
        foreach (var (unit, seconds) in ((string, int)[])[("picture", 1), ("step", 2)])
        {
            for (var k = 1; k <= 8; k++)
            {
                _time.Advance(seconds);
                line.Report(new(k, 8) { Unit = unit });
            }
        }

        Assert.Equal(
            [
                "picture 1/8 (13 %)",
                "picture 6/8 (75 %)  1.0 s/picture  2.0 s left",
                "picture 8/8 (100 %)  1.0 s/picture",
                "step 1/8 (13 %)",
                "step 4/8 (50 %)  2.0 s/step  8.0 s left",
                "step 7/8 (88 %)  2.0 s/step  2.0 s left",
                "step 8/8 (100 %)  2.0 s/step",
            ],
            Lines
        );
    }

    [Fact]
    public void The_step_clock_needs_two_reports()
    {
        var clock = new StepClock(_time);
        _time.Advance(100);
        clock.Advance(500);
        Assert.Null(clock.SecondsPerStep);
        Assert.Null(clock.Remaining(1000));

        _time.Advance(4);
        clock.Advance(502);
        Assert.Equal(2, clock.SecondsPerStep!.Value, 12);
        Assert.Equal(996, clock.Remaining(1000)!.Value.TotalSeconds, 6);
        Assert.Equal(TimeSpan.Zero, clock.Remaining(400));
    }

    [Fact]
    public void The_step_clock_weights_reports_by_steps()
    {
        var single = new StepClock(_time);
        var jumping = new StepClock(_time);
        single.Advance(0);
        jumping.Advance(0);
        for (var step = 1; step <= 12; step++)
        {
            _time.Advance(step <= 6 ? 1 : 3);
            single.Advance(step);
            if (step % 6 == 0)
                jumping.Advance(step);
        }

        Assert.Equal(single.SecondsPerStep!.Value, jumping.SecondsPerStep!.Value, 12);
        Assert.InRange(single.SecondsPerStep.Value, 2.0, 3.0); // later, slower steps have more weight
    }
}
