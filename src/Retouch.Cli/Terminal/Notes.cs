namespace Retouch.Cli.Terminal;

/// <summary>Notes for the user: lines on standard error that begin with <c>note:</c>.</summary>
internal static class Notes
{
    /// <summary>Writes one note per line.</summary>
    /// <param name="notes">Whole sentences.</param>
    /// <param name="writer">Standard error.</param>
    public static void Write(IEnumerable<string> notes, TextWriter writer)
    {
        foreach (var note in notes)
            writer.WriteLine($"note: {note}");
    }
}
