using System.CommandLine;
using Retouch.Core.Errors;

namespace Retouch.Cli.Tests;

/// <summary>Mapping of errors in a verb to messages and exit codes.</summary>
public class CommandLineTests
{
    private static async Task<(int Code, string Out, string Error)> Run(Action<ParseResult> action, params string[] args)
    {
        var verb = new Command("paint", "Test verb.")
        {
            new Option<int>("--width"),
            new Option<string>("--out") { Required = true },
        };
        verb.SetAction(action);
        using var output = new StringWriter();
        using var error = new StringWriter();
        var root = new RootCommand { SharedOptions.Json, SharedOptions.Verbose, verb };
        var code = await CommandLine.RunAsync(root, args, output, error);
        return (code, output.ToString(), error.ToString());
    }

    private static Task<(int Code, string Out, string Error)> Throw(Exception e, params string[] args) =>
        Run(_ => throw e, ["paint", "--out", "x", .. args]);

    public static TheoryData<Exception, int> Mendable =>
        new()
        {
            { new UsageException("Give a width."), 2 },
            { new InputException("'a.png' is cut off."), 3 },
            { new FileNotFoundException("No file 'a.json'."), 3 },
            { new EnvironmentException("The disk is full."), 4 },
            { new DivergedException("Both got worse."), 5 },
        };

    [Theory]
    [MemberData(nameof(Mendable))]
    public async Task User_errors_are_shown_with_their_exit_code(Exception thrown, int code)
    {
        Assert.Equal((code, "", $"error: {thrown.Message}\n"), await Throw(thrown));
        Assert.Equal((code, "", $"error: {thrown.Message}\n"), await Throw(new AggregateException(thrown)));
    }

    [Fact]
    public async Task Verbose_shows_the_stack_trace()
    {
        var (code, _, error) = await Throw(new InputException("Broken.", new IOException("deeper")), "--verbose");
        Assert.Equal(3, code);
        Assert.Contains("deeper", error);
        Assert.Contains(nameof(CommandLineTests), error);
    }

    [Fact]
    public async Task Unexpected_errors_explain_how_to_report_them()
    {
        var (code, _, error) = await Throw(new InvalidOperationException("Sequence contains no elements"));
        Assert.Equal(1, code);
        Assert.StartsWith("error: InvalidOperationException: Sequence contains no elements\n", error);
        Assert.Contains("doctor --json", error);
        Assert.DoesNotContain("   at ", error);
    }

    [Fact]
    public async Task Cancellation_without_a_signal_is_a_bug() => Assert.Equal(1, (await Throw(new OperationCanceledException())).Code);

    [Fact]
    public async Task Returned_codes_are_exit_codes() => Assert.Equal((0, "", ""), await Run(_ => { }, "paint", "--out", "x"));

    [Theory]
    [InlineData("error: Unknown option '--widht'. Did you mean '--width'?", "paint", "--out", "x", "--widht", "3")]
    [InlineData("error: Unknown verb 'piant'. Did you mean 'paint'?", "piant")]
    [InlineData("error: Option '--out' is required.", "paint")]
    [InlineData("error: --width is 'wide'; a whole number is expected.", "paint", "--out", "x", "--width", "wide")]
    [InlineData("error: Unknown argument 'stray'.", "paint", "--out", "x", "stray")]
    public async Task Bad_usage_names_the_mistake_and_the_nearest_name(string first, params string[] args)
    {
        var (code, output, error) = await Run(_ => throw new InvalidOperationException("ran"), args);
        Assert.Equal((2, ""), (code, output));
        Assert.Equal(first, error.Split('\n')[0]);
        Assert.Equal($"Run 'retouch {(args[0] == "paint" ? "paint " : "")}--help' for its options.", error.TrimEnd().Split('\n')[^1]);
    }

    [Fact]
    public async Task Output_is_text_or_one_json_document()
    {
        void Act(ParseResult parsed) =>
            Output
                .For(parsed)
                .Write(
                    new
                    {
                        MeanLoss = double.NaN,
                        Kind = DayOfWeek.Friday,
                        Path = "a/ä.png",
                    },
                    writer => writer.WriteLine("loss nan")
                );
        Assert.Equal((0, "loss nan\n", ""), await Run(Act, "paint", "--out", "x"));
        var (code, output, _) = await Run(Act, "paint", "--out", "x", "--json");
        Assert.Equal(0, code);
        Assert.Equal("{\n  \"meanLoss\": \"NaN\",\n  \"kind\": \"friday\",\n  \"path\": \"a/ä.png\"\n}\n", output);
    }
}
