using System.CommandLine;

namespace Retouch.Cli.Diagnosis;

/// <summary>The command line as a shell reads it, for reports.</summary>
internal static class CommandText
{
    /// <summary>The whole command.</summary>
    public static string Of(ParseResult parsed) => "retouch " + string.Join(' ', parsed.Tokens.Select(static token => Quoted(token.Value)));

    private static string Quoted(string word) =>
        word.Length > 0 && word.All(static c => char.IsLetterOrDigit(c) || "-_./,:=@+%".Contains(c, StringComparison.Ordinal))
            ? word
            : "'" + word.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
