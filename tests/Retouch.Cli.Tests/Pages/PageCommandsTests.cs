namespace Retouch.Cli.Tests.Pages;

/// <summary>Commands in README.md and docs parse: verbs, options and values exist, and options of training are known.</summary>
public sealed class PageCommandsTests
{
    public static TheoryData<string> Pages =>
        [
            .. Directory
                .EnumerateFiles(Path.Combine(PageScript.Root, "docs"), "*.md", SearchOption.AllDirectories)
                .Append(Path.Combine(PageScript.Root, "README.md"))
                .Append(Path.Combine(PageScript.Root, "demo", "README.md"))
                .Concat(Directory.EnumerateFiles(Path.Combine(PageScript.Root, "recipes"), "*.md", SearchOption.AllDirectories))
                .Select(static page => Path.GetRelativePath(PageScript.Root, page))
                .Order(StringComparer.Ordinal),
        ];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Commands_of_a_page_parse(string page)
    {
        List<string> problems = [];
        foreach (var command in PageScript.Commands(File.ReadAllText(Path.Combine(PageScript.Root, page))))
        {
            var arguments = PageScript.Words(command);
            var parsed = CommandLine.Create().Parse(arguments);
            if (parsed.Errors.Count > 0)
                problems.Add($"{command}\n    {string.Join("\n    ", parsed.Errors.Select(static e => e.Message))}");
        }

        Assert.True(problems.Count == 0, string.Join('\n', problems));
    }

    [Fact]
    public void Commands_are_found_and_wrong_ones_do_not_parse()
    {
        var commands = PageScript.Commands(
            "x\n```sh\n$ ./retouch train --stepps 3   # a comment\nFOO=1 ./retouch demo \\\n  --size 64\nls\n```\n./retouch no\n"
        );
        Assert.Equal(["train --stepps 3", "demo --size 64"], commands);
        Assert.NotEmpty(CommandLine.Create().Parse(PageScript.Words(commands[0])).Errors);
        Assert.Equal(
            ["sample", "--prompt", "a fox", "--set", "a=[{\"b\":1}]"],
            PageScript.Words("sample --prompt \"a fox\" … --set 'a=[{\"b\":1}]'")
        );
        Assert.Contains(
            "train --model MODEL",
            string.Join('\n', PageScript.Commands(File.ReadAllText(Path.Combine(PageScript.Root, "README.md"))))
        );
    }
}
