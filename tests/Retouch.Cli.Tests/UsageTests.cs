namespace Retouch.Cli.Tests;

/// <summary>Responses of the command line to valid and invalid usage.</summary>
public class UsageTests
{
    [Fact]
    public void No_arguments_show_the_help_on_stderr_and_fail()
    {
        var outcome = RetouchProcess.Run([]);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Equal("", outcome.Out);
        Assert.Contains("Usage:\n  retouch ", outcome.Error);
    }

    [Fact]
    public void Help_goes_to_stdout_and_names_the_program()
    {
        var outcome = RetouchInProcess.Run(["--help"]);
        Assert.Equal(0, outcome.ExitCode);
        Assert.Equal("", outcome.Error);
        Assert.Contains("Usage:\n  retouch ", outcome.Out);
    }

    [Fact]
    public void Help_groups_all_verbs_by_purpose()
    {
        var help = RetouchInProcess.Run(["--help"]).Out;
        string[] parts =
        [
            "\nTrain:\n  train",
            "\nSample:\n  sample",
            "\nMeasure:\n  evaluate",
            "\nJudge:\n  arena",
            "\nTools:\n  doctor",
            "--json",
        ];
        var places = parts.Select(part => help.IndexOf(part, StringComparison.Ordinal)).ToArray();
        Assert.DoesNotContain(-1, places);
        Assert.Equal(places.Order(), places);
        foreach (var verb in CommandLine.Create().Subcommands.Where(static verb => !verb.Hidden))
            Assert.Contains($"\n  {verb.Name} ", help, StringComparison.Ordinal);
        // A verb's own help is the library's.
        Assert.Contains("--class", RetouchInProcess.Run(["sample", "--help"]).Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Version_is_that_of_the_assembly()
    {
        var outcome = RetouchInProcess.Run(["--version"]);
        Assert.Equal(0, outcome.ExitCode);
        Assert.Matches(@"^\d+\.\d+\.\d+(\+[0-9a-f]+)?\s*$", outcome.Out);
    }

    [Fact]
    public void Unknown_option_fails()
    {
        var outcome = RetouchInProcess.Run(["--jsonn"]);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Equal("", outcome.Out);
        Assert.Equal("error: Unknown option '--jsonn'. Did you mean '--json'?\nRun 'retouch --help' for its options.\n", outcome.Error);
    }

    [Fact]
    public void Unknown_verb_fails()
    {
        var outcome = RetouchInProcess.Run(["frobnicate"]);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Equal("error: Unknown verb 'frobnicate'.\nRun 'retouch --help' for its options.\n", outcome.Error);
        // What follows is not reported as well.
        Assert.Equal(
            "error: Unknown verb 'sampel'. Did you mean 'sample'?\nRun 'retouch --help' for its options.\n",
            RetouchInProcess.Run(["sampel", "--model", "folder", "--count", "3"]).Error
        );
    }

    [Theory]
    [InlineData("pairs make --data x --degrade foo --output y", "Run 'retouch pairs make --help' for its options.")]
    [InlineData("evaluate --images x --reference x --filter foo", "--filter is 'foo'; one of \"bilinear\", \"bicubic\"")]
    [InlineData("ablate deepth --output x", "'deepth' is neither a file nor an included spec. Did you mean 'depth'? Included: ")]
    [InlineData("train --model {0} --data {0} --objective latent --output {0}/run", "is not a model: it has neither model_index.json")]
    [InlineData("inspect {0}", "is not a model: it has neither model_index.json")]
    [InlineData("evaluate --images {0} --reference {0}", "contains no pictures: it and its 0 subfolders have 0 files, none with")]
    public void Mistakes_are_named_with_their_remedy(string command, string message)
    {
        var empty = Directory.CreateTempSubdirectory("retouch-usage-").FullName;
        try
        {
            var outcome = RetouchInProcess.Run(command.Replace("{0}", empty, StringComparison.Ordinal).Split(' '));
            Assert.InRange(outcome.ExitCode, 2, 3);
            Assert.Contains(message, outcome.Error, StringComparison.Ordinal);
            Assert.Empty(Directory.EnumerateFileSystemEntries(empty));
        }
        finally
        {
            Directory.Delete(empty, recursive: true);
        }
    }

    [Fact]
    public void Choices_are_in_lower_case() =>
        Assert.Contains("--filter <bilinear|bicubic|lanczos|box>", RetouchInProcess.Run(["evaluate", "--help"]).Out);
}
