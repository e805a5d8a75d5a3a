using System.CommandLine;
using System.Globalization;
using Retouch.Arena;
using Retouch.Arena.Results;
using Retouch.Arena.Statistics;
using Retouch.Arena.Study;
using Retouch.Core.Errors;

namespace Retouch.Cli.Commands;

/// <summary>Result of <c>retouch arena export</c>.</summary>
/// <param name="Votes">Number of votes; null if not requested.</param>
/// <param name="Preferences">Preference data set; null if not requested.</param>
internal sealed record ArenaExport(int? Votes, PreferenceResult? Preferences);

/// <summary><c>retouch arena results</c> and <c>retouch arena export</c>: read a study, also while its server runs.</summary>
internal static class ArenaReadingCommands
{
    private static readonly Argument<string> Folder = new("folder") { Description = "Folder of the arena." };
    private static readonly Option<string?> VotesFile = VotesOption();
    private static readonly Option<int?> Ratings = new Option<int?>("--ratings")
    {
        Description = "Minimum ratings per comparison. Default: the study's number.",
    }.Within(new() { AtLeast = 1, AtMost = 1000 });
    private static readonly Option<string?> OutputFolder = new("--output")
    {
        Description = "Folder for a preference data set; new or empty.",
    };
    private static readonly Option<string?> Lines = new("--jsonl") { Description = "JSON Lines file for all votes." };
    private static readonly Option<string?> Question = new("--question")
    {
        Description = "Question whose verdicts become preferences: appeal or flaws. Default appeal.",
    };
    private static readonly Option<bool> Ties = new("--ties") { Description = "Also write ties.jsonl with the tied pairs." };
    private static readonly Option<bool> Link = new("--link") { Description = "Hard links instead of copies of the pictures." };

    /// <summary>Option for the file of votes.</summary>
    public static Option<string?> VotesOption() => new("--votes") { Description = "File of votes. Default: arena.sqlite in the folder." };

    /// <summary>Creates the verb <c>results</c>.</summary>
    public static Command CreateResults()
    {
        var command = new Command("results", "Show the current results of a study.") { Folder, VotesFile, Ratings };
        command.SetAction(static parsed =>
        {
            var results = StudyReports.Results(VotesOf(parsed), TimeProvider.System, parsed.GetValue(Ratings));
            Output.For(parsed).Write(results, writer => Describe(writer, results));
        });
        return command;
    }

    /// <summary>Creates the verb <c>export</c>.</summary>
    public static Command CreateExport()
    {
        var command = new Command("export", "Export the votes, or a preference data set from them.")
        {
            Folder,
            VotesFile,
            Ratings,
            OutputFolder,
            Lines,
            Question,
            Ties,
            Link,
        };
        command.SetAction(static parsed =>
        {
            var export = Export(parsed);
            Output.For(parsed).Write(export, writer => Describe(writer, export));
        });
        return command;
    }

    private static string VotesOf(ParseResult parsed) =>
        new ArenaOptions { Folder = parsed.GetRequiredValue(Folder), Votes = parsed.GetValue(VotesFile) }.VotesFile;

    private static ArenaExport Export(ParseResult parsed)
    {
        var (folder, lines) = (parsed.GetValue(OutputFolder), parsed.GetValue(Lines));
        if (folder is null && lines is null)
            throw new UsageException("Give --output FOLDER to export a preference data set, or --jsonl FILE to export the votes.");
        var inert = ((Option[])[Ratings, Question, Ties, Link])
            .Where(o => folder is null && parsed.GetResult(o) is { Implicit: false })
            .Select(static o => o.Name)
            .ToArray();
        if (inert.Length > 0)
            throw new UsageException($"{string.Join(", ", inert)}: only for a preference data set; add --output FOLDER.");
        var options = new PreferenceOptions
        {
            Question = Questions.Parse(parsed.GetValue(Question) ?? Arena.Study.Question.Appeal.Name()),
            Ratings = parsed.GetValue(Ratings),
            Ties = parsed.GetValue(Ties),
            Link = parsed.GetValue(Link),
        };
        var preferences = folder is null
            ? null
            : StudyReports.WritePreferences(VotesOf(parsed), parsed.GetRequiredValue(Folder), folder, options, TimeProvider.System);
        return new(lines is null ? null : StudyReports.WriteVotes(VotesOf(parsed), lines, TimeProvider.System), preferences);
    }

    private static void Describe(TextWriter writer, ArenaExport export)
    {
        if (export.Votes is { } votes)
            writer.WriteLine($"{votes} votes written");
        if (export.Preferences is not { } made)
            return;
        writer.WriteLine($"{made.Preferences} preferences ({made.Pairs} pairs): {made.Folder}");
        writer.WriteLine($"excluded: {made.Ties} ties, {made.Short} with too few ratings, {made.Contradictions.Count} contradictory");
        foreach (var contradiction in made.Contradictions)
            writer.WriteLine("  " + contradiction);
    }

    private static void Describe(TextWriter writer, StudyResults results)
    {
        writer.WriteLine($"{results.Votes} votes; comparisons require {results.RatingsNeeded} ratings");
        foreach (var question in results.Questions)
        {
            writer.WriteLine();
            writer.WriteLine(
                $"{question.Question}: {question.Votes} votes, agreement "
                    + $"{(question.Agreement is { } alpha ? Number($"{alpha:0.00}") : "unknown")} (Krippendorff's alpha)"
            );
            foreach (var pair in question.Pairs)
            {
                writer.WriteLine(
                    $"  {pair.Model} against {pair.Against}: {pair.Wins} wins, {pair.Ties} ties, {pair.Losses} "
                        + $"losses{(pair.Short > 0 ? $"; {pair.Short} with too few ratings" : "")}"
                );
                if (pair.Wins + pair.Ties + pair.Losses > 0)
                    writer.WriteLine($"    improvement {Percent(pair.Improvement)}, sign test p = {Number($"{pair.SignTest:0.####}")}");
            }

            foreach (var (strength, name) in question.Ranking.Select(static ranked => (ranked.Strength, ranked.Model)))
                writer.WriteLine(Number($"  strength {strength.Value, 6:0.00} ({strength.Low:0.00} to {strength.High:0.00})  {name}"));
            foreach (var model in question.Alignment)
                writer.WriteLine(
                    $"  {model.Model}: {model.Aligned} of {model.Counted} match "
                        + $"the prompt{(model.Counted > 0 ? ", " + Percent(model.AlignedShare) : "")}"
                        + $"{(model.Short > 0 ? $"; {model.Short} with too few ratings" : "")}"
                );
            foreach (var model in question.Flaws)
                writer.WriteLine($"  {model.Model}: {model.Marked} marks, {model.Major} of major flaws, {model.Minor} of minor flaws");
        }

        foreach (var rater in results.Raters.Where(static r => r.ChecksFailed.Count > 0))
            writer.WriteLine(
                $"{rater.Name} failed {rater.ChecksFailed.Count} of {rater.ChecksFailed.Count + rater.ChecksPassed} attention "
                    + $"checks{(rater.Excluded ? " (excluded)" : "")}"
            );
    }

    private static string Percent(Share share) =>
        Number($"{100 * share.Value:0.0;-0.0;0.0} % ({100 * share.Low:0.0;-0.0;0.0} to {100 * share.High:0.0;-0.0;0.0})");

    private static string Number(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
