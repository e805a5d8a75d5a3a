using Retouch.Experiments.Phases;

namespace Retouch.Cli.Terminal;

/// <summary>Progress of the phases of long verbs, on standard error.</summary>
internal static class Consoles
{
    /// <summary>Console of a verb.</summary>
    /// <param name="error">Standard error.</param>
    /// <param name="time">Clock.</param>
    /// <param name="cancellation">Cancelled by the first Ctrl-C.</param>
    public static PhaseConsole Create(TextWriter error, TimeProvider time, CancellationToken cancellation)
    {
        var facts = TerminalFacts.OfStandardError();
        return new(error, facts.IsTerminal, () => ProgressLines.Create(facts, error, time), time, cancellation);
    }
}
