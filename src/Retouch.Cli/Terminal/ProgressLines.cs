using Retouch.Training.Telemetry;
using Spectre.Console;

namespace Retouch.Cli.Terminal;

/// <summary>Properties of a standard stream, read once at the start of the program.</summary>
/// <param name="IsTerminal">Whether it is a terminal; false if redirected.</param>
/// <param name="Color">Whether colours are allowed.</param>
internal sealed record TerminalFacts(bool IsTerminal, bool Color)
{
    /// <summary>
    /// Properties of this process's standard error: redirection, <c>TERM=dumb</c> (treated as redirected), and <c>NO_COLOR</c>, if set
    /// and not empty (no-color.org).
    /// </summary>
    public static TerminalFacts OfStandardError() => Of(System.Console.IsErrorRedirected);

    /// <summary>Properties of standard output.</summary>
    public static TerminalFacts OfStandardOutput() => Of(System.Console.IsOutputRedirected);

    private static TerminalFacts Of(bool redirected) =>
        new(
            !redirected && Environment.GetEnvironmentVariable("TERM") != "dumb",
            string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"))
        );
}

/// <summary>Chooses the progress display. Everything goes to standard error; standard output is for results.</summary>
internal static class ProgressLines
{
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(5);

    /// <summary>A live bar on a terminal, plain lines every few seconds elsewhere.</summary>
    public static IProgressLine Create(TerminalFacts facts, TextWriter error, TimeProvider time)
    {
        if (!facts.IsTerminal)
            return new PlainProgressLine(error, time, PlainInterval);
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Out = new AnsiConsoleOutput(error),
                Ansi = AnsiSupport.Yes,
                Interactive = InteractionSupport.Yes,
                ColorSystem = facts.Color ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            }
        );
        return new LiveProgressLine(console, time);
    }
}
