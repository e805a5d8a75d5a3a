namespace Retouch.Cli.Terminal;

/// <summary>What a user should know and did not ask for: lines on standard error that begin with <c>note:</c>.</summary>
internal static class Notes
{
    /// <summary>Writes one a line.</summary>
    /// <param name="notes">Whole sentences.</param>
    /// <param name="writer">Standard error.</param>
    public static void Write(IEnumerable<string> notes, TextWriter writer)
    {
        foreach (var note in notes)
            writer.WriteLine($"note: {note}");
    }
}
