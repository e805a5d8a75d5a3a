using System.CommandLine;
using Retouch.Arena;
using Retouch.Arena.Study;
using Retouch.Core.Errors;

namespace Retouch.Cli.Commands;

/// <summary>Links and facts of a started arena.</summary>
/// <param name="RaterLink">Link for raters; null in a study by invitation.</param>
/// <param name="Invitations">Personal links of invited raters.</param>
/// <param name="OwnerLink">Link to the results, which shows the models' names.</param>
/// <param name="Votes">Path of the file of votes.</param>
/// <param name="Models">Names of the models.</param>
/// <param name="Tasks">Number of comparisons and single pictures to judge.</param>
internal sealed record ArenaStarted(
    string? RaterLink,
    IReadOnlyList<Invitation> Invitations,
    string OwnerLink,
    string Votes,
    IReadOnlyList<string> Models,
    int Tasks
);

/// <summary><c>retouch arena</c>: blind side-by-side human evaluation of pictures from several models.</summary>
internal static class ArenaCommand
{
    private const string TokenVariable = "RETOUCH_ARENA_TOKEN";

    // Not required by the parser: the subcommands have their own folder argument.
    private static readonly Argument<string?> Folder = new("folder")
    {
        Description = "Folder with one subfolder of pictures per model.",
        Arity = ArgumentArity.ZeroOrOne,
    };
    private static readonly Option<string?> Title = new("--title") { Description = "Title for raters." };
    private static readonly Option<string[]> Questions = new("--questions")
    {
        Description = "Questions in order: flaws, appeal, alignment. Default: all that the pictures allow.",
        AllowMultipleArgumentsPerToken = true,
    };
    private static readonly Option<string?> Baseline = new("--baseline")
    {
        Description = "Compare models only with this one. Default: all pairs.",
    };
    private static readonly Option<int> Ratings = new("--ratings")
    {
        Description = "Target and minimum ratings per comparison.",
        DefaultValueFactory = static _ => 5,
    };
    private static readonly Option<int> PerRater = new("--per-rater")
    {
        Description = "Maximum judgements per rater; 0: unlimited.",
        DefaultValueFactory = static _ => 0,
    };
    private static readonly Option<int> CheckEvery = new("--check-every")
    {
        Description = "One attention check per this many pairs; 0: none.",
        DefaultValueFactory = static _ => 10,
    };
    private static readonly Option<ulong?> Seed = new("--seed")
    {
        Description = "Seed of sides, order and attention checks. Default 0; fixed when the study is created.",
    };
    private static readonly Option<string[]> Raters = new("--raters")
    {
        Description = "Names of raters; each gets a personal link, others cannot join. Default: anyone with access joins by name.",
        AllowMultipleArgumentsPerToken = true,
    };
    private static readonly Option<string> Bind = ListenAddress.Option(
        "--bind",
        "Address to listen on. Other addresses than loopback require a token."
    );
    private static readonly Option<int> Port = new("--port")
    {
        Description = "Port; 0 picks a free one.",
        DefaultValueFactory = static _ => 8137,
    };
    private static readonly Option<string?> Token = new("--token")
    {
        Description =
            $"Access token for raters, at least {ArenaOptions.ShortestToken} characters. Default: the environment variable "
            + $"{TokenVariable}, which other users of the machine cannot see.",
    };
    private static readonly Option<string[]> Hosts = new("--host")
    {
        Description = "Additional host names of the server.",
        AllowMultipleArgumentsPerToken = true,
    };

    /// <summary>Creates the verb.</summary>
    public static Command Create()
    {
        var votes = ArenaReadingCommands.VotesOption();
        var command = new Command("arena", "Blind side-by-side human evaluation of pictures from several models.")
        {
            Folder,
            Title,
            Questions,
            Baseline,
            Ratings,
            PerRater,
            CheckEvery,
            Seed,
            Raters,
            Bind,
            Port,
            Token,
            Hosts,
            votes,
            ArenaReadingCommands.CreateResults(),
            ArenaReadingCommands.CreateExport(),
        };
        command.SetAction((parsed, cancellation) => Serve(parsed, OptionsOf(parsed, votes), cancellation));
        return command;
    }

    private static ArenaOptions OptionsOf(ParseResult parsed, Option<string?> votes)
    {
        return new ArenaOptions
        {
            Folder =
                parsed.GetValue(Folder)
                ?? throw new UsageException("Give a folder with one subfolder of pictures per model: retouch arena FOLDER."),
            Votes = parsed.GetValue(votes),
            Title = parsed.GetValue(Title),
            Questions = parsed.GetValue(Questions) is { Length: > 0 } names
                ? [.. names.SelectMany(static n => n.Split(',')).Select(Retouch.Arena.Study.Questions.Parse)]
                : null,
            Baseline = parsed.GetValue(Baseline),
            Ratings = parsed.GetValue(Ratings),
            PerRater = parsed.GetValue(PerRater),
            CheckEvery = parsed.GetValue(CheckEvery),
            Seed = parsed.GetValue(Seed),
            Raters = [.. (parsed.GetValue(Raters) ?? []).SelectMany(static n => n.Split(','))],
            Address = ListenAddress.Of(parsed, Bind),
            Port = parsed.GetValue(Port),
            Token = parsed.GetValue(Token) ?? (Environment.GetEnvironmentVariable(TokenVariable) is { Length: > 0 } token ? token : null),
            HostNames = parsed.GetValue(Hosts) ?? [],
        };
    }

    private static async Task<int> Serve(ParseResult parsed, ArenaOptions options, CancellationToken cancellation)
    {
        var error = parsed.InvocationConfiguration.Error;
        var server = await ArenaServer.StartAsync(options, TimeProvider.System, error.WriteLine, cancellation).ConfigureAwait(false);
        await using (server.ConfigureAwait(false))
        {
            var started = new ArenaStarted(
                server.RaterLink,
                server.Invitations,
                server.OwnerLink,
                server.VotesFile,
                server.Models,
                server.Tasks
            );
            Output.For(parsed).Write(started, writer => Describe(writer, started, server.MatchedBySeed));
            await Task.Delay(Timeout.Infinite, cancellation).ConfigureAwait(false);
        }

        return 0;
    }

    private static void Describe(TextWriter writer, ArenaStarted started, bool bySeed)
    {
        writer.WriteLine(
            $"{started.Models.Count} models ({string.Join(", ", started.Models)}), matched by "
                + $"{(bySeed ? "prompt and seed" : "name")}: {started.Tasks} judgements, shared by the raters"
        );
        if (started.RaterLink is { } link)
            writer.WriteLine($"Raters:  {link}");
        foreach (var invitation in started.Invitations)
            writer.WriteLine($"{invitation.Name}:  {invitation.Link}");
        writer.WriteLine($"Results: {started.OwnerLink}");
        writer.WriteLine("         (not for raters: shows the models' names)");
        writer.WriteLine($"Votes:   {started.Votes}");
        writer.WriteLine("Ctrl-C stops the server; votes are kept, and a restart resumes the study.");
    }
}
