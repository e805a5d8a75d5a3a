using Retouch.Arena.Statistics;
using Retouch.Arena.Study;
using Retouch.Arena.Votes;

namespace Retouch.Arena.Results;

/// <summary>Computes results from the votes of a study.</summary>
internal static class ResultsBuilder
{
    /// <summary>Results of the current votes.</summary>
    /// <param name="file">Study.</param>
    /// <param name="ratings">Minimum ratings per comparison; null for the study's number.</param>
    public static StudyResults Of(StudyFile file, int? ratings = null)
    {
        var needed = ratings ?? (int.TryParse(file.Fact("ratings"), out var kept) ? kept : new ArenaOptions { Folder = "" }.Ratings);
        var seed = ulong.TryParse(file.Fact("seed"), out var known) ? known : 0;
        var prompts = file.Items().ToDictionary(static i => i.Key, static i => i.Prompt);
        var all = file.Votes.Standing();
        var counted = all.Where(static v => !v.Excluded && v.Given.Task.Kind == TaskKind.Judge).ToList();
        var items = counted
            .GroupBy(static v => v.Given.Task)
            .Select(g => Item(g, prompts.GetValueOrDefault(g.Key.Item), needed))
            .OrderBy(static i => i.Item, StringComparer.Ordinal)
            .ThenBy(static i => i.First, StringComparer.Ordinal)
            .ThenBy(static i => i.Second, StringComparer.Ordinal)
            .ToList();
        var questions = counted
            .GroupBy(static v => v.Given.Task.Question)
            .OrderBy(static g => g.Key)
            .Select(g =>
                Question(
                    g.Key,
                    [.. g],
                    [.. items.Where(i => i.Question == g.Key.Name())],
                    file.Fact("baseline") is { Length: > 0 } baseline ? baseline : null,
                    seed
                )
            );
        return new(
            file.Fact("title") is { Length: > 0 } title ? title : null,
            needed,
            counted.Count,
            [.. questions],
            [.. file.Raters.All().Select(r => Rater(r, all))],
            items
        );
    }

    private static ItemResult Item(IGrouping<StudyTask, Vote> votes, string? prompt, int needed)
    {
        var (first, ties, second) = (
            votes.Count(static v => v.Outcome > 0),
            votes.Count(static v => v.Outcome == 0),
            votes.Count(static v => v.Outcome < 0)
        );
        return new(
            votes.Key.Question.Name(),
            votes.Key.Item,
            prompt,
            votes.Key.First,
            votes.Key.Second,
            first,
            ties,
            second,
            ItemResult.Decide(first, ties, second, needed)
        );
    }

    private static QuestionResult Question(Question question, List<Vote> votes, List<ItemResult> items, string? baseline, ulong seed)
    {
        var agreement = KrippendorffAlpha.Nominal(
            votes.GroupBy(static v => v.Given.Task).Select(static g => g.Select(static v => v.Outcome).ToList())
        );
        if (!question.IsPaired())
            return new(question.Name(), votes.Count, agreement, AlignmentPairs(items, baseline), [], Alignment(items), []);
        var pairs = items
            .GroupBy(static i => (i.First, Second: i.Second!))
            .OrderBy(static g => g.Key)
            .Select(g => Pair(g.Key, [.. g.Select(static i => i.Verdict)], baseline));
        return new(
            question.Name(),
            votes.Count,
            agreement,
            [.. pairs],
            Rank(votes, seed),
            [],
            question == Study.Question.Flaws ? Flaws(votes) : []
        );
    }

    private static PairResult Pair((string First, string Second) models, List<string> verdicts, string? baseline)
    {
        var (wins, ties, losses, tooFew) = (
            verdicts.Count("first".Equals),
            verdicts.Count("tie".Equals),
            verdicts.Count("second".Equals),
            verdicts.Count("short".Equals)
        );
        return models.First == baseline
            ? PairResult.Of(models.Second, models.First, losses, ties, wins, tooFew)
            : PairResult.Of(models.First, models.Second, wins, ties, losses, tooFew);
    }

    private static List<AlignmentResult> Alignment(List<ItemResult> items) =>
        [
            .. from model in items.GroupBy(static i => i.First).OrderBy(static g => g.Key, StringComparer.Ordinal)
            let counted = model.Count(static i => i.Verdict != "short")
            let aligned = model.Count(static i => i.Verdict == "first")
            select new AlignmentResult(model.Key, aligned, counted, model.Count() - counted, Share.Wilson(aligned, counted)),
        ];

    /// <summary>A model wins an item if its picture matches the prompt and the other's does not.</summary>
    private static List<PairResult> AlignmentPairs(List<ItemResult> items, string? baseline)
    {
        var byModel = items
            .GroupBy(static i => i.First)
            .OrderBy(static g => g.Key, StringComparer.Ordinal)
            .Select(static g => (Model: g.Key, Verdicts: g.ToDictionary(static i => i.Item, static i => i.Verdict)))
            .ToList();
        return
        [
            .. from first in byModel
            from second in byModel
            where
                string.CompareOrdinal(first.Model, second.Model) < 0
                && (baseline is null || first.Model == baseline || second.Model == baseline)
            select Pair(
                (first.Model, second.Model),
                [.. first.Verdicts.Keys.Intersect(second.Verdicts.Keys).Select(i => Compare(first.Verdicts[i], second.Verdicts[i]))],
                baseline
            ),
        ];

        static string Compare(string first, string second) =>
            first == "short" || second == "short"
                ? "short"
                : (first == "first", second == "first") switch
                {
                    (true, false) => "first",
                    (false, true) => "second",
                    _ => "tie",
                };
    }

    private static IReadOnlyList<RankedModel> Rank(List<Vote> votes, ulong seed)
    {
        string[] models =
        [
            .. votes.SelectMany(static v => new[] { v.Given.Task.First, v.Given.Task.Second! }).Distinct().Order(StringComparer.Ordinal),
        ];
        var wins = votes
            .GroupBy(static v => v.Given.Task.Item)
            .OrderBy(static g => g.Key, StringComparer.Ordinal)
            .Select(item =>
            {
                var matrix = new double[models.Length, models.Length];
                foreach (var vote in item)
                {
                    var (i, j) = (Array.IndexOf(models, vote.Given.Task.First), Array.IndexOf(models, vote.Given.Task.Second));
                    matrix[i, j] += (1 + vote.Outcome) / 2.0;
                    matrix[j, i] += (1 - vote.Outcome) / 2.0;
                }

                return matrix;
            });
        return Ranking.Of(models, [.. wins], seed);
    }

    private static List<FlawResult> Flaws(List<Vote> votes) =>
        [
            .. from mark in votes.SelectMany(static v =>
                new[] { (v.Given.Task.First, v.FirstFlaws), (v.Given.Task.Second!, v.SecondFlaws) }
            )
            where mark.Item2 is not null
            group mark.Item2 by mark.Item1 into model
            orderby model.Key
            select new FlawResult(
                model.Key,
                model.Count(),
                model.Count(static m => m == FlawMark.None),
                model.Count(static m => m == FlawMark.Minor),
                model.Count(static m => m == FlawMark.Major)
            ),
        ];

    private static RaterResult Rater(Rater rater, List<Vote> all)
    {
        var own = all.Where(v => v.Given.Rater == rater.Id).ToList();
        var checks = own.Where(static v => v.Given.Task.Kind != TaskKind.Judge).ToList();
        var times = own.Where(static v => v.Milliseconds is not null).Select(static v => v.Milliseconds!.Value / 1000.0).Order().ToArray();
        return new(
            rater.Id,
            rater.Name,
            rater.Excluded,
            own.Count - checks.Count,
            checks.Count(static v => v.PassedCheck),
            [.. checks.Where(static v => !v.PassedCheck).Select(Describe)],
            times.Length == 0 ? null : times[times.Length / 2]
        );
    }

    private static string Describe(Vote check) =>
        check.Given.Task.Kind == TaskKind.Identical
            ? $"preferred one of two identical pictures ({check.Given.Task.Question.Name()}, {check.Given.Task.Item})"
            : $"{(check.Outcome == 0 ? "judged equal to" : "preferred")} a degraded picture "
                + $"({check.Given.Task.Question.Name()}, {check.Given.Task.Item})";
}
