using System.Text.Json;
using Retouch.Arena.Results;
using Retouch.Arena.Study;
using Retouch.Arena.Votes;
using Retouch.Core.Errors;

namespace Retouch.Arena.Tests.Results;

/// <summary>Figures and files from known votes, computed by hand.</summary>
public sealed class StudyReportsTests : IDisposable
{
    private static readonly string[] Items =
    [
        "prompt number 0 #1000",
        "prompt number 1 #1001",
        "prompt number 2 #1002",
        "prompt number 3 #1003",
    ];

    private readonly TestStudy _study = new(4, "a", "b", "c");
    private readonly StudyFile _file;
    private readonly List<Rater> _raters;
    private int _sent;

    public StudyReportsTests()
    {
        _file = StudyFile.Serve(_study.Options.VotesFile, TimeProvider.System);
        _file.Register(Retouch.Arena.Material.StudyMaterial.Read(_study.Folder));
        _file.SetFact("ratings", "3");
        _raters = [.. Enumerable.Range(0, 5).Select(k => _file.Raters.Add($"rater {k}")!)];
    }

    public void Dispose()
    {
        _file.Dispose();
        _study.Dispose();
    }

    /// <summary>
    /// One rating per character: &gt; for the first model, &lt; for the second, = for a tie, y and n; each from another rater, with
    /// alternating sides.
    /// </summary>
    private void Rate(Question question, int item, string first, string? second, string ratings, TaskKind kind = TaskKind.Judge)
    {
        for (var k = 0; k < ratings.Length; k++)
        {
            var swapped = (_sent++ & 1) == 1;
            var rater = _raters[k].Id;
            var given = _file.Assignments.Add(
                rater,
                _file.Assignments.Of(rater).Count,
                new(question, kind, Items[item], first, second),
                swapped
            );
            var answer = ratings[k] switch
            {
                '=' => Answer.Tie,
                'y' => Answer.Yes,
                'n' => Answer.No,
                '>' => swapped ? Answer.Right : Answer.Left,
                _ => swapped ? Answer.Left : Answer.Right,
            };
            Assert.Equal(
                ReceiptKind.Kept,
                _file.Votes.Cast(rater, new(given.Id, $"key-{_sent:D6}", answer, Milliseconds: 1000 * (k + 1))).Kind
            );
        }
    }

    private StudyResults Results(int? ratings = null) => StudyReports.Results(_study.Options.VotesFile, TimeProvider.System, ratings);

    [Fact]
    public void Pairs_are_decided_by_majority()
    {
        Rate(Question.Appeal, 0, "a", "b", ">>=");
        Rate(Question.Appeal, 1, "a", "b", ">><");
        Rate(Question.Appeal, 2, "a", "b", "><=");
        Rate(Question.Appeal, 3, "a", "b", "<<");
        var question = Assert.Single(Results().Questions);
        var pair = Assert.Single(question.Pairs);
        Assert.Equal(("a", "b", 2, 1, 0, 1), (pair.Model, pair.Against, pair.Wins, pair.Ties, pair.Losses, pair.Short));
        Assert.Equal(2.0 / 3, pair.Improvement.Value, 12);
        Assert.Equal(0.5, pair.SignTest, 12);
        // With two required ratings, the last item counts.
        Assert.Equal(1, Assert.Single(Results(2).Questions[0].Pairs).Losses);
        // Coincidences: each unit of m ratings adds pairs with weight 1/(m − 1). By hand: N = 11; a 5, b 4, tie 2; disagreement (4 + 4 + 6)
        // / 2 = 7,
        // by chance 5·6 + 4·7 + 2·9 = 76.
        Assert.Equal(1 - 10 * 7.0 / 76, question.Agreement!.Value, 12);
        Assert.Equal(["a", "b"], question.Ranking.Select(static r => r.Model));
        // a has 5 wins and two half ones of 11, plus half of the prior's tie: ln(6.5 / 5.5), split equally.
        Assert.Equal(Math.Log(6.5 / 5.5) / 2, question.Ranking[0].Strength.Value, 9);
    }

    [Fact]
    public void A_baseline_reverses_the_pairs()
    {
        _file.SetFact("baseline", "a");
        Rate(Question.Appeal, 0, "a", "b", ">>>");
        var pair = Assert.Single(Results().Questions[0].Pairs);
        Assert.Equal(("b", "a", 0, 1), (pair.Model, pair.Against, pair.Wins, pair.Losses));
    }

    [Fact]
    public void Alignment_is_counted_per_model_and_between_models()
    {
        Rate(Question.Alignment, 0, "a", null, "yyn");
        Rate(Question.Alignment, 0, "b", null, "nny");
        Rate(Question.Alignment, 1, "a", null, "yyy");
        Rate(Question.Alignment, 1, "b", null, "yyy");
        Rate(Question.Alignment, 2, "b", null, "yy");
        var question = Assert.Single(Results().Questions);
        Assert.Equal([("a", 2, 2, 0), ("b", 1, 2, 1)], question.Alignment.Select(static a => (a.Model, a.Aligned, a.Counted, a.Short)));
        var pair = Assert.Single(question.Pairs);
        Assert.Equal((1, 1, 0), (pair.Wins, pair.Ties, pair.Losses));
        Assert.Empty(question.Ranking);
    }

    [Fact]
    public void Raters_with_failed_checks_are_listed_and_can_be_excluded()
    {
        Rate(Question.Appeal, 0, "a", "b", ">>>");
        Rate(Question.Appeal, 1, "a", "a", "=>", TaskKind.Identical);
        Rate(Question.Appeal, 2, "b", "b", ">=<", TaskKind.Degraded);
        var results = Results();
        Assert.Equal(3, results.Votes);
        Assert.Equal([(2, 0), (0, 2), (0, 1), (0, 0), (0, 0)], results.Raters.Select(static r => (r.ChecksPassed, r.ChecksFailed.Count)));
        Assert.Contains("identical", results.Raters[1].ChecksFailed[0]);
        Assert.Equal(2, results.Raters[1].MedianSeconds);
        _file.Raters.SetExcluded(_raters[1].Id, true);
        Assert.Equal(2, Results().Votes);
        Assert.Equal(1, Results().Questions[0].Pairs[0].Short);
    }

    [Fact]
    public void Votes_are_written_one_per_line()
    {
        Rate(Question.Appeal, 0, "a", "b", "<<<");
        Rate(Question.Alignment, 0, "a", null, "y");
        var path = Path.Combine(_study.Folder, "votes.jsonl");
        Assert.Equal(4, StudyReports.WriteVotes(_study.Options.VotesFile, path, TimeProvider.System));
        var lines = File.ReadLines(path).Select(static l => JsonDocument.Parse(l).RootElement).ToList();
        Assert.All(
            lines.Take(3),
            static l =>
            {
                Assert.Equal("b", l.GetProperty("preferred").GetString());
                Assert.Equal("b", l.GetProperty(l.GetProperty("answer").GetString()!).GetString());
            }
        );
        Assert.Equal(("prompt number 0", "yes"), (lines[3].GetProperty("prompt").GetString(), lines[3].GetProperty("answer").GetString()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Preferences_become_a_data_set(bool link)
    {
        Rate(Question.Appeal, 0, "a", "b", ">>>");
        Rate(Question.Appeal, 0, "a", "c", ">>=");
        Rate(Question.Appeal, 1, "b", "c", "<<<");
        Rate(Question.Appeal, 2, "a", "b", "===");
        Rate(Question.Appeal, 3, "a", "b", ">>");
        var output = Path.Combine(_study.Folder, "out", "set");
        var made = StudyReports.WritePreferences(
            _study.Options.VotesFile,
            _study.Folder,
            output,
            new() { Ties = true, Link = link },
            TimeProvider.System
        );
        Assert.Equal((2, 3, 1, 1), (made.Preferences, made.Pairs, made.Ties, made.Short));
        Assert.Equal(
            [
                """{"winner":"images/a/000.png","loser":["images/b/000.png","images/c/000.png"],"caption":"prompt number 0","""
                    + "\"label\":null}",
                """{"winner":"images/c/001.png","loser":["images/b/001.png"],"caption":"prompt number 1","label":null}""",
            ],
            File.ReadAllLines(Path.Combine(output, "metadata.jsonl"))
        );
        Assert.Equal(
            """{"pictures":["images/a/002.png","images/b/002.png"],"caption":"prompt number 2","label":null}""",
            Assert.Single(File.ReadAllLines(Path.Combine(output, "ties.jsonl")))
        );
        Assert.Equal(7, Directory.GetFiles(output, "*.png", SearchOption.AllDirectories).Length);
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(_study.Folder, "c", "001.png")),
            File.ReadAllBytes(Path.Combine(output, "images", "c", "001.png"))
        );
        Assert.Contains(
            "not empty",
            Assert
                .Throws<UsageException>(() =>
                    StudyReports.WritePreferences(_study.Options.VotesFile, _study.Folder, output, new(), TimeProvider.System)
                )
                .Message
        );
    }

    [Fact]
    public void An_export_with_a_changed_picture_fails_without_output()
    {
        Rate(Question.Appeal, 0, "a", "b", ">>>");
        _study.Add("b", "000.png", TestStudy.Paint(7, 7));
        var output = Path.Combine(_study.Folder, "set");
        Assert.Contains(
            "has changed",
            Assert
                .Throws<InputException>(() =>
                    StudyReports.WritePreferences(_study.Options.VotesFile, _study.Folder, output, new(), TimeProvider.System)
                )
                .Message
        );
        Assert.Empty(Directory.GetDirectories(_study.Folder, "set*"));
    }

    [Fact]
    public void An_export_without_winners_fails_with_the_reason()
    {
        Rate(Question.Appeal, 0, "a", "b", "===");
        Rate(Question.Appeal, 1, "a", "b", ">");
        var output = Path.Combine(_study.Folder, "set");
        Assert.Contains(
            "1 lack ratings, 1 are ties",
            Assert
                .Throws<InputException>(() =>
                    StudyReports.WritePreferences(_study.Options.VotesFile, _study.Folder, output, new(), TimeProvider.System)
                )
                .Message
        );
        Assert.Throws<UsageException>(() =>
            StudyReports.WritePreferences(
                _study.Options.VotesFile,
                _study.Folder,
                output,
                new() { Question = Question.Alignment },
                TimeProvider.System
            )
        );
    }
}
