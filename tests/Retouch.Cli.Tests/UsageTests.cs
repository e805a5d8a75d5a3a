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
    }
}
