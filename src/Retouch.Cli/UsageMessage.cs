using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text;
using Retouch.Core.Formatting;
using Retouch.Core.Json;

namespace Retouch.Cli;

/// <summary>Messages for command lines that do not parse: the error, the closest name, and how to get help.</summary>
internal static class UsageMessage
{
    private static readonly JsonShape Kinds = new(JsonStyles.Options);

    /// <summary>Message for a parse result with errors; several lines.</summary>
    public static string Of(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        var known = Names(parsed).ToList();
        var text = new StringBuilder();
        foreach (var error in parsed.Errors)
        {
            // What follows an unknown verb cannot be judged.
            if (text.Length > 0 && command is RootCommand)
                break;
            // An unknown word causes two errors at the root: the word itself, and the missing verb.
            if (parsed.UnmatchedTokens.Count > 0 && command is RootCommand && !parsed.UnmatchedTokens.Any(error.Message.Contains))
                continue;
            var token = parsed.UnmatchedTokens.FirstOrDefault(error.Message.Contains);
            var kind =
                token is null ? null
                : token.StartsWith('-') ? "option"
                : command is RootCommand ? "verb"
                : "argument";
            text.Append("error: ").Append(token is null ? Words(error) : $"Unknown {kind} '{token}'.");
            if (token is not null && Nearest(token, known) is { } suggestion)
                text.Append($" Did you mean '{suggestion}'?");
            text.AppendLine();
        }

        text.Append($"Run 'retouch {Path(parsed.CommandResult)}--help' for its options.");
        return text.ToString();
    }

    /// <summary>Verbs of a command, as in <c>pairs make</c>, with a space after each.</summary>
    private static string Path(CommandResult result) =>
        result.Parent is CommandResult parent ? $"{Path(parent)}{result.Command.Name} " : "";

    /// <summary>The parser's message, without the types of .NET.</summary>
    private static string Words(ParseError error) =>
        error.SymbolResult is OptionResult { Option: var option, Tokens: [.., var token] }
        && error.Message.Contains(" as expected type ", StringComparison.Ordinal)
            ? $"{option.Name} is '{token.Value}'; {Kinds.Expected(option.ValueType.GetElementType() ?? option.ValueType)} is expected."
            : error.Message;

    private static IEnumerable<string> Names(ParseResult parsed)
    {
        for (var result = parsed.CommandResult; result is not null; result = result.Parent as CommandResult)
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
        NearestName.Of(word, names.Where(name => name.StartsWith('-') == word.StartsWith('-')));
}
