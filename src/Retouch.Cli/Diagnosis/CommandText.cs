using System.CommandLine;

namespace Retouch.Cli.Diagnosis;

/// <summary>Command line, quoted for a shell, for reports.</summary>
internal static class CommandText
{
    /// <summary>Complete command.</summary>
    public static string Of(ParseResult parsed) => "retouch " + string.Join(' ', parsed.Tokens.Select(static token => Quoted(token.Value)));

    /// <summary>A word as a shell reads it, in quotes where necessary.</summary>
    public static string Quoted(string word) =>
        word.Length > 0 && word.All(static c => char.IsLetterOrDigit(c) || "-_./,:=@+%".Contains(c, StringComparison.Ordinal))
            ? word
            : "'" + word.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
