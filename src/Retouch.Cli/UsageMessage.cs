using System.CommandLine;
using System.Text;

namespace Retouch.Cli;

/// <summary>Messages for command lines that do not parse: the error, the closest name, and how to get help.</summary>
internal static class UsageMessage
{
    /// <summary>Message for a parse result with errors; several lines.</summary>
    public static string Of(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        var known = Names(parsed).ToList();
        var text = new StringBuilder();
        foreach (var error in parsed.Errors)
        {
            // An unknown word causes two errors at the root: the word itself, and the missing verb.
            if (parsed.UnmatchedTokens.Count > 0 && command is RootCommand && !parsed.UnmatchedTokens.Any(error.Message.Contains))
                continue;
            var token = parsed.UnmatchedTokens.FirstOrDefault(error.Message.Contains);
            var kind =
                token is null ? null
                : token.StartsWith('-') ? "option"
                : command is RootCommand ? "verb"
                : "argument";
            text.Append("error: ").Append(token is null ? error.Message : $"Unknown {kind} '{token}'.");
            if (token is not null && Nearest(token, known) is { } suggestion)
                text.Append($" Did you mean '{suggestion}'?");
            text.AppendLine();
        }

        text.Append($"Run 'retouch {(command is RootCommand ? "" : command.Name + " ")}--help' for its options.");
        return text.ToString();
    }

    private static IEnumerable<string> Names(ParseResult parsed)
    {
        for (var result = parsed.CommandResult; result is not null; result = result.Parent as System.CommandLine.Parsing.CommandResult)
        {
            var inner = result == parsed.CommandResult;
            var options = result
                .Command.Options.Where(option => (inner || option.Recursive) && !option.Hidden)
                .SelectMany(option => option.Aliases.Append(option.Name));
            var verbs = inner ? result.Command.Subcommands.Where(verb => !verb.Hidden).Select(verb => verb.Name) : [];
            foreach (var name in options.Concat(verbs))
                yield return name;
        }
    }

    /// <summary>
    /// Closest name to <paramref name="word"/>, if at most a third of its letters differ.
    /// </summary>
    internal static string? Nearest(string word, IEnumerable<string> names) =>
        names
            .Where(name => name.StartsWith('-') == word.StartsWith('-'))
            .Select(name => (Name: name, Distance: Distance(word, name)))
            .Where(pair => pair.Distance <= Math.Max(1, pair.Name.TrimStart('-').Length / 3))
            .OrderBy(pair => pair.Distance)
            .ThenBy(pair => pair.Name, StringComparer.Ordinal)
            .Select(pair => pair.Name)
            .FirstOrDefault();

    /// <summary>Edit distance with cost 1 for insertion, deletion, substitution and transposition of neighbours.</summary>
    private static int Distance(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
        {
            for (var j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    d[i, j] = i + j;
                    continue;
                }

                var replaced = d[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                d[i, j] = Math.Min(replaced, Math.Min(d[i - 1, j], d[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        }

        return d[a.Length, b.Length];
    }
}
