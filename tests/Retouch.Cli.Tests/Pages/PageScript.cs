using System.Text;
using System.Text.RegularExpressions;

namespace Retouch.Cli.Tests.Pages;

/// <summary>Commands of a page in Markdown.</summary>
internal static partial class PageScript
{
    /// <summary>The project's folder.</summary>
    public static string Root { get; } = FindRoot();

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Retouch.slnx")))
                return folder.FullName;
        }

        throw new DirectoryNotFoundException("Retouch.slnx");
    }

    /// <summary>Commands in fenced blocks, without the program's name, comments and what follows a pipe or redirection.</summary>
    public static List<string> Commands(string text) => [.. Blocks(text).SelectMany(static b => b)];

    /// <summary>The same, by block.</summary>
    public static List<List<string>> Blocks(string text)
    {
        List<List<string>> blocks = [];
        foreach (Match block in Block().Matches(text))
        {
            // A transcript with this exit code shows a wrong command.
            var isWrong = block.Groups["text"].Value.Contains("\nexit code 2\n", StringComparison.Ordinal);
            if (isWrong || block.Groups["language"].Value is not ("" or "sh" or "bash" or "console"))
                continue;
            List<string> commands = [];
            foreach (var line in block.Groups["text"].Value.Replace("\\\n", " ", StringComparison.Ordinal).Split('\n'))
            {
                foreach (var part in line.Split(" && "))
                {
                    if (Command().Match(part) is { Success: true } match)
                        commands.Add(Spaces().Replace(match.Groups["arguments"].Value.Trim(), " "));
                }
            }
            blocks.Add(commands);
        }

        return blocks;
    }

    /// <summary>Words of a shell command: quotes group; an ellipsis without quotes and the launcher's own option are left out.</summary>
    public static string[] Words(string command)
    {
        List<string> words = [];
        var word = new StringBuilder();
        char? quote = null;
        var isQuoted = false;
        foreach (var letter in command.Append(' '))
        {
            if (quote == letter)
            {
                quote = null;
            }
            else if (quote is null && letter is '"' or '\'')
            {
                (quote, isQuoted) = (letter, true);
            }
            else if (quote is null && letter == ' ')
            {
                if (isQuoted || word.Length > 0 && word.ToString() is not ("…" or "--cuda"))
                    words.Add(word.ToString());
                word.Clear();
                isQuoted = false;
            }
            else
            {
                word.Append(letter);
            }
        }

        return [.. words];
    }

    [GeneratedRegex("```(?<language>[a-z]*)\\n(?<text>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex Block();

    [GeneratedRegex(@"^\s*(\$ )?([A-Z_]+=\S+ )*(\./)?retouch (?<arguments>('[^']*'|""[^""]*""|[^#|>'""])*)", RegexOptions.ExplicitCapture)]
    private static partial Regex Command();

    [GeneratedRegex(" +")]
    private static partial Regex Spaces();
}
