using Retouch.Arena.Material;
using Retouch.Arena.Study;
using Retouch.Arena.Votes;
using Retouch.Core.Errors;

namespace Retouch.Arena.Tests.Study;

/// <summary>Assignment of tasks: balance, no repetition, attention checks, limits.</summary>
public sealed class SchedulerTests : IDisposable
{
    private readonly TestStudy _study = new(5, "a", "b", "c");
    private readonly StudyFile _file;
    private readonly StudyMaterial _material;
    private int _keys;

    public SchedulerTests()
    {
        _file = StudyFile.Serve(Path.Combine(_study.Folder, "arena.sqlite"), TimeProvider.System);
        _material = StudyMaterial.Read(_study.Folder);
    }

    public void Dispose()
    {
        _file.Dispose();
        _study.Dispose();
    }

    private Scheduler With(ArenaOptions options) => new(_file, StudyPlan.For(_material, options), options, seed: 3);

    private List<StudyTask> JudgeAll(Scheduler scheduler, Rater rater, int most = int.MaxValue)
    {
        var tasks = new List<StudyTask>();
        while (tasks.Count < most && scheduler.Next(rater.Id).Current is { } given)
        {
            tasks.Add(given.Task);
            _file.Votes.Cast(rater.Id, new(given.Id, Key(), given.Task.Question.IsPaired() ? Answer.Left : Answer.Yes));
        }

        return tasks;
    }

    private string Key() => $"key-{_keys++:D5}";

    [Fact]
    public void A_rater_gets_each_task_once_by_question()
    {
        var options = _study.Options with { CheckEvery = 0 };
        var tasks = JudgeAll(With(options), _file.Raters.Add("Ann")!);
        var plan = StudyPlan.For(_material, options);
        // 5 items, 3 pairs of models, 2 questions; 15 single pictures.
        Assert.Equal(45, tasks.Count);
        Assert.Equal(plan.Tasks.ToHashSet(), tasks.ToHashSet());
        Assert.Equal([Question.Flaws, Question.Appeal, Question.Alignment], tasks.Select(t => t.Question).Distinct());
        Assert.Equal(2, Enumerable.Range(1, 44).Count(k => tasks[k].Question != tasks[k - 1].Question));
    }

    [Fact]
    public void A_task_stays_assigned_until_it_is_judged()
    {
        var scheduler = With(_study.Options);
        var rater = _file.Raters.Add("Ann")!;
        var first = scheduler.Next(rater.Id).Current;
        Assert.Equal(first, scheduler.Next(rater.Id).Current);
        Assert.Equal(first, With(_study.Options).Next(rater.Id).Current);
    }

    [Fact]
    public void Ratings_are_balanced_and_end_at_the_target()
    {
        var scheduler = With(_study.Options with { Questions = [Question.Appeal], Ratings = 2, CheckEvery = 0 });
        var raters = Enumerable.Range(0, 4).Select(k => _file.Raters.Add($"rater {k}")!).ToList();
        JudgeAll(scheduler, raters[0], most: 8);
        // The second rater begins with the tasks that the first has not judged.
        Assert.Equal(
            7,
            JudgeAll(scheduler, raters[1], most: 7)
                .Except(_file.Votes.Standing().Where(v => v.Given.Rater == raters[0].Id).Select(v => v.Given.Task))
                .Count()
        );
        foreach (var rater in raters)
            JudgeAll(scheduler, rater);
        Assert.All(_file.Votes.Tally(), t => Assert.Equal(2, t.Ratings));
        Assert.Equal(15, _file.Votes.Tally().Count);
        // Tasks of an excluded rater are assigned again.
        var left = JudgedBy(raters[0]).Except(JudgedBy(raters[3])).Order(StringComparer.Ordinal).ToList();
        _file.Raters.SetExcluded(raters[0].Id, true);
        Assert.Equal(left, JudgeAll(scheduler, raters[3]).Select(static t => t.Key).Order(StringComparer.Ordinal));

        List<string> JudgedBy(Rater rater) =>
            [.. _file.Votes.Standing().Where(v => v.Given.Rater == rater.Id).Select(static v => v.Given.Task.Key)];
    }

    [Fact]
    public void One_check_occurs_per_stretch_and_never_first()
    {
        var options = _study.Options with { Questions = [Question.Flaws, Question.Appeal], CheckEvery = 5 };
        var kinds = new HashSet<TaskKind>();
        for (var r = 0; r < 6; r++)
        {
            var tasks = JudgeAll(With(options with { Ratings = 100 }), _file.Raters.Add($"rater {r}")!);
            Assert.Equal(TaskKind.Judge, tasks[0].Kind);
            Assert.Equal(30, tasks.Count(t => t.Kind == TaskKind.Judge));
            for (var stretch = 0; stretch + 5 <= tasks.Count; stretch += 5)
                Assert.Equal(1, tasks.Skip(stretch).Take(5).Count(t => t.Kind != TaskKind.Judge));
            kinds.UnionWith(tasks.Select(t => t.Kind));
        }

        Assert.Equal(3, kinds.Count);
        Assert.Equal(6, _file.Raters.All().Count);
        Assert.DoesNotContain(_file.Votes.Tally(), t => t.Ratings > 6);
    }

    [Theory]
    [InlineData(9, 3, 3, 3)]
    [InlineData(10, 4, 4, 2)]
    [InlineData(2, 1, 1, 0)]
    public void A_limit_is_split_between_the_questions(int limit, int flaws, int appeal, int alignment)
    {
        var tasks = JudgeAll(With(_study.Options with { PerRater = limit, CheckEvery = 0 }), _file.Raters.Add("Ann")!);
        Assert.Equal(
            (flaws, appeal, alignment),
            (
                tasks.Count(t => t.Question == Question.Flaws),
                tasks.Count(t => t.Question == Question.Appeal),
                tasks.Count(t => t.Question == Question.Alignment)
            )
        );
    }

    [Fact]
    public void A_baseline_is_in_every_pair()
    {
        var plan = StudyPlan.For(_material, _study.Options with { Baseline = "b", Questions = [Question.Appeal] });
        Assert.Equal(10, plan.Tasks.Count);
        Assert.All(plan.Tasks, t => Assert.Contains("b", new[] { t.First, t.Second }));
        Assert.Contains(
            "not one of the models",
            Assert.Throws<UsageException>(() => StudyPlan.For(_material, _study.Options with { Baseline = "x" })).Message
        );
    }

    [Fact]
    public void Progress_ends_with_no_remaining_tasks()
    {
        var scheduler = With(_study.Options with { CheckEvery = 0 });
        var rater = _file.Raters.Add("Ann")!;
        for (var done = 0; ; done++)
        {
            var (given, progress) = scheduler.Next(rater.Id);
            Assert.Equal(new Progress(done, 45), progress);
            if (given is null)
                break;
            _file.Votes.Cast(rater.Id, new(given.Id, Key(), given.Task.Question.IsPaired() ? Answer.Tie : Answer.No));
        }
    }

    [Fact]
    public void A_changed_picture_is_rejected()
    {
        _file.Register(_material);
        _study.Add("a", "000.png", TestStudy.Paint(9, 9));
        Assert.Contains("has changed", Assert.Throws<InputException>(() => _file.Register(StudyMaterial.Read(_study.Folder))).Message);
    }
}
