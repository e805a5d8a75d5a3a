using System.Text;
using System.Text.RegularExpressions;

namespace Retouch.Cli.Tests;

/// <summary>Commands in README.md and docs parse: verbs, options and values exist, and options of training are known.</summary>
public sealed partial class PageCommandsTests
{
    private static string Root()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Retouch.slnx")))
                return folder.FullName;
        }

        throw new DirectoryNotFoundException("Retouch.slnx");
    }

    public static TheoryData<string> Pages =>
        [
            .. Directory
                .EnumerateFiles(Path.Combine(Root(), "docs"), "*.md", SearchOption.AllDirectories)
                .Append(Path.Combine(Root(), "README.md"))
                .Append(Path.Combine(Root(), "demo", "README.md"))
                .Concat(Directory.EnumerateFiles(Path.Combine(Root(), "recipes"), "*.md", SearchOption.AllDirectories))
                .Select(static page => Path.GetRelativePath(Root(), page))
                .Order(StringComparer.Ordinal),
        ];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Commands_of_a_page_parse(string page)
    {
        List<string> problems = [];
        foreach (var command in Commands(File.ReadAllText(Path.Combine(Root(), page))))
        {
            var arguments = Words(command);
            var parsed = CommandLine.Create().Parse(arguments);
            if (parsed.Errors.Count > 0)
                problems.Add($"{command}\n    {string.Join("\n    ", parsed.Errors.Select(static e => e.Message))}");
        }

        Assert.True(problems.Count == 0, string.Join('\n', problems));
    }

    [Fact]
    public void Commands_are_found_and_wrong_ones_do_not_parse()
    {
        var commands = Commands(
            "x\n```sh\n$ ./retouch train --stepps 3   # a comment\nFOO=1 ./retouch demo \\\n  --size 64\nls\n```\n./retouch no\n"
        );
        Assert.Equal(["train --stepps 3", "demo --size 64"], commands);
        Assert.NotEmpty(CommandLine.Create().Parse(Words(commands[0])).Errors);
        Assert.Equal(["sample", "--prompt", "a fox", "--set", "a=[{\"b\":1}]"], Words("sample --prompt \"a fox\" … --set 'a=[{\"b\":1}]'"));
        Assert.Contains("train --model MODEL", string.Join('\n', Commands(File.ReadAllText(Path.Combine(Root(), "README.md")))));
    }

    /// <summary>Commands in fenced blocks, without the program's name, comments and what follows a pipe or redirection.</summary>
    private static List<string> Commands(string text)
    {
        List<string> commands = [];
        foreach (Match block in Block().Matches(text))
        {
            foreach (var line in block.Groups["text"].Value.Replace("\\\n", " ", StringComparison.Ordinal).Split('\n'))
            {
                foreach (var part in line.Split(" && "))
                {
                    if (Command().Match(part) is { Success: true } match)
                        commands.Add(Spaces().Replace(match.Groups["arguments"].Value.Trim(), " "));
                }
            }
        }

        return commands;
    }

    /// <summary>Words of a shell command: quotes group; an ellipsis without quotes and the launcher's own option are left out.</summary>
    private static string[] Words(string command)
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

    [GeneratedRegex("```(sh|bash|console)?\\n(?<text>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex Block();

    [GeneratedRegex(
        @"^\s*(\$ )?([A-Z_]+=\S+ )*(\./)?retouch (?<arguments>('[^']*'|""[^""]*""|[^#|>'""])*)",
        RegexOptions.ExplicitCapture
    )]
    private static partial Regex Command();

    [GeneratedRegex(" +")]
    private static partial Regex Spaces();
}
