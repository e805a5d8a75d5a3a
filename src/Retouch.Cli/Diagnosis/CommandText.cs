using System.CommandLine;

namespace Retouch.Cli.Diagnosis;

/// <summary>Command line, quoted for a shell, for reports.</summary>
internal static class CommandText
{
    /// <summary>Complete command.</summary>
    public static string Of(ParseResult parsed) => "retouch " + string.Join(' ', parsed.Tokens.Select(static token => Quoted(token.Value)));

    private static string Quoted(string word) =>
        word.Length > 0 && word.All(static c => char.IsLetterOrDigit(c) || "-_./,:=@+%".Contains(c, StringComparison.Ordinal))
            ? word
            : "'" + word.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
