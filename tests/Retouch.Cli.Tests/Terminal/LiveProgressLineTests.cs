using System.Text.RegularExpressions;
using Retouch.Cli.Terminal;
using Spectre.Console;
using Spectre.Console.Testing;

namespace Retouch.Cli.Tests.Terminal;

public sealed partial class LiveProgressLineTests : IDisposable
{
    private readonly StringWriter _output = new();
    private readonly ManualTime _time = new();

    public void Dispose() => _output.Dispose();

    [Fact]
    public void A_live_run_shows_position_pace_and_losses_and_restores_the_cursor()
    {
        using (var line = ProgressLines.Create(new(IsTerminal: true, Color: true), _output, _time))
        {
            line.Report(new(1, 100));
            _time.Advance(2);
            line.Report(
                new(2, 100)
                {
                    Loss = 0.5,
                    Terms = [new("latent", 0.4, 0.4, 0.8), new("lpl", 0.1, 0.1, 0.2)],
                    MemoryBytes = 1L << 31,
                }
            );
        }

        var text = _output.ToString();
        Assert.Contains("step 2/100 (2.0 %)", text, StringComparison.Ordinal);
        Assert.Contains("2.0 s/step  3 min 16 s left  2.0 GiB", text, StringComparison.Ordinal);
        Assert.Contains("loss 0.5000 = latent 0.4000 (80 %) + lpl 0.1000 (20 %)", text, StringComparison.Ordinal);
        Assert.True(text.LastIndexOf("\e[?25h", StringComparison.Ordinal) > text.LastIndexOf("\e[?25l", StringComparison.Ordinal));
    }

    [Fact]
    public void A_live_run_is_redrawn_at_most_five_times_a_second_and_always_at_its_last_step()
    {
        using var line = ProgressLines.Create(new(IsTerminal: true, Color: false), _output, _time);
        for (var step = 1; step <= 1000; step++)
        {
            line.Report(new(step, 1000));
            _time.Advance(0.001);
        }

        Assert.InRange(Position().Count(_output.ToString()), 5, 7);
        Assert.Contains("step 1,000/1,000 (100 %)", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_color_no_color_codes_are_written()
    {
        Run(new(IsTerminal: true, Color: false));
        Assert.Contains("step 5/10", _output.ToString(), StringComparison.Ordinal);
        Assert.DoesNotMatch(ColorCode(), _output.ToString());
    }

    [Fact]
    public void Redirected_output_has_no_escape_codes()
    {
        Run(new(IsTerminal: false, Color: true));
        Assert.StartsWith("step 5/10 (50 %)", _output.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain('\e', _output.ToString());
    }

    [Fact]
    public void Colors_are_written_if_the_console_supports_them()
    {
        // Counterpart of the test without colours: the same output on a console of 256 colours has them.
        using var console = new TestConsole().EmitAnsiSequences().Colors(ColorSystem.EightBit);
        using (var line = new LiveProgressLine(console, _time))
            line.Report(new(5, 10));
        Assert.Matches(ColorCode(), console.Output);
    }

    [Fact]
    public void A_note_stays_above_the_live_lines()
    {
        using (var line = ProgressLines.Create(new(IsTerminal: true, Color: false), _output, _time))
        {
            line.Report(new(1, 10));
            line.Note("checkpoint [1] written");
            _time.Advance(1);
            line.Report(new(2, 10));
        }

        var text = _output.ToString();
        var note = text.IndexOf("checkpoint [1] written", StringComparison.Ordinal);
        Assert.InRange(note, 0, text.IndexOf("step 2/10", StringComparison.Ordinal));
    }

    private void Run(TerminalFacts facts)
    {
        using var line = ProgressLines.Create(facts, _output, _time);
        line.Report(new(5, 10) { Loss = 1 });
    }

    [GeneratedRegex(@"\x1b\[[0-9;]*\b(3[0-8]|9[0-7])\b[0-9;]*m")]
    private static partial Regex ColorCode();

    [GeneratedRegex(@"step [0-9,]+/1,000")]
    private static partial Regex Position();

    private sealed class ManualTime : TimeProvider
    {
        private TimeSpan _elapsed;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _elapsed.Ticks;

        public void Advance(double seconds) => _elapsed += TimeSpan.FromSeconds(seconds);
    }
}
