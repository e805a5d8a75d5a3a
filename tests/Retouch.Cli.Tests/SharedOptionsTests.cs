using System.CommandLine;

namespace Retouch.Cli.Tests;

public sealed class SharedOptionsTests
{
    private static async Task<(int Code, string Out, string Error)> Run(params string[] args)
    {
        var batch = SharedOptions.BatchSize(8);
        var title = new Option<string?>("--title");
        var paint = new Command("paint") { batch, title };
        paint.SetAction(parsed => parsed.InvocationConfiguration.Output.WriteLine($"{parsed.GetValue(batch)} {parsed.GetValue(title)}"));
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await CommandLine.RunAsync(
            new RootCommand { SharedOptions.Json, SharedOptions.Verbose, paint, new Command("read") },
            args,
            output,
            error
        );
        return (code, output.ToString(), error.ToString());
    }

    [Theory]
    [InlineData("--batch", "4")]
    [InlineData("--batch=4")]
    public async Task Old_name_is_accepted_with_a_note(params string[] option) =>
        Assert.Equal(
            (0, "4 a\n", "note: --batch is an old name; it is now --batch-size.\n"),
            await Run(["paint", .. option, "--title", "a"])
        );

    [Fact]
    public async Task Current_name_gives_no_note() => Assert.Equal((0, "4 \n", ""), await Run("paint", "--batch-size", "4"));

    [Fact]
    public async Task Old_name_is_unknown_to_a_verb_without_batches() => Assert.Equal(2, (await Run("read", "--batch", "4")).Code);

    [Theory]
    [InlineData("0", "error: --batch-size is 0; it must be at least 1.")]
    [InlineData("-3", "error: --batch-size is -3; it must be at least 1.")]
    public async Task Value_out_of_bounds_is_bad_usage(string value, string message)
    {
        var (code, output, error) = await Run("paint", "--batch-size", value);
        Assert.Equal((2, ""), (code, output));
        Assert.StartsWith(message, error);
    }

    [Fact]
    public async Task Value_of_another_type_is_a_usage_error()
    {
        var (code, output, error) = await Run("paint", "--batch-size", "eight");
        Assert.Equal((2, ""), (code, output));
        Assert.Equal("error: --batch-size is 'eight'; a whole number is expected.\nRun 'retouch paint --help' for its options.\n", error);
    }

    [Fact]
    public void Every_verb_with_batches_has_them_under_one_name()
    {
        var verbs = Verbs(CommandLine.Create(), "").ToList();
        Assert.DoesNotContain(verbs, static v => v.Options.Contains("--batch"));
        Assert.Equal(
            [
                "bench attention",
                "bench step",
                "cache",
                "compare",
                "demo",
                "evaluate",
                "features",
                "inspect",
                "judge",
                "sample",
                "statistics",
                "train",
            ],
            verbs.Where(static v => v.Options.Contains("--batch-size")).Select(static v => v.Name).Order(StringComparer.Ordinal)
        );
    }

    private static IEnumerable<(string Name, List<string> Options)> Verbs(Command command, string name) =>
        command
            .Subcommands.SelectMany(c => Verbs(c, $"{name} {c.Name}".Trim()))
            .Prepend((name, [.. command.Options.SelectMany(static o => o.Aliases.Append(o.Name))]));
}
