using Retouch.Arena.Study;
using Retouch.Arena.Votes;
using Retouch.Core.Errors;

namespace Retouch.Arena.Tests.Votes;

/// <summary>A judgement is stored once, regardless of repeated submissions, and can be undone.</summary>
public sealed class VoteTableTests : IDisposable
{
    private static readonly StudyTask Pair = new(Question.Flaws, TaskKind.Judge, "item", "a", "b");

    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-votes-").FullName;
    private readonly StudyFile _file;
    private readonly Rater _rater;

    public VoteTableTests()
    {
        _file = StudyFile.Serve(Path.Combine(_folder, "arena.sqlite"), TimeProvider.System);
        _rater = _file.Raters.Add("Ann")!;
    }

    public void Dispose()
    {
        _file.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private Ballot Given(string key, Answer answer = Answer.Left, bool swapped = false, StudyTask? task = null) =>
        new(_file.Assignments.Add(_rater.Id, _file.Assignments.Of(_rater.Id).Count, task ?? Pair, swapped).Id, key, answer);

    [Fact]
    public void A_repeated_submission_gets_the_same_reply_and_one_vote()
    {
        var ballot = Given("key-1") with { LeftFlaws = FlawMark.Major, Milliseconds = 1234 };
        var first = _file.Votes.Cast(_rater.Id, ballot);
        Assert.Equal(ReceiptKind.Kept, first.Kind);
        Assert.Equal(first, _file.Votes.Cast(_rater.Id, ballot));
        var vote = Assert.Single(_file.Votes.Standing());
        Assert.Equal((Answer.Left, FlawMark.Major, null, 1234), (vote.Answer, vote.LeftFlaws, vote.RightFlaws, vote.Milliseconds));
    }

    [Fact]
    public void A_reused_key_is_rejected()
    {
        var ballot = Given("key-1");
        _file.Votes.Cast(_rater.Id, ballot);
        Assert.Equal(ReceiptKind.KeyReused, _file.Votes.Cast(_rater.Id, ballot with { Answer = Answer.Right }).Kind);
        Assert.Equal(ReceiptKind.KeyReused, _file.Votes.Undo(_rater.Id, "key-1").Kind);
        Assert.Equal(Answer.Left, Assert.Single(_file.Votes.Standing()).Answer);
    }

    [Fact]
    public void A_second_vote_on_a_task_is_rejected()
    {
        var ballot = Given("key-1");
        _file.Votes.Cast(_rater.Id, ballot);
        Assert.Equal(ReceiptKind.AlreadyJudged, _file.Votes.Cast(_rater.Id, ballot with { Key = "key-2", Answer = Answer.Right }).Kind);
        Assert.Single(_file.Votes.Standing());
    }

    [Fact]
    public void Answers_of_another_question_are_rejected()
    {
        var single = new StudyTask(Question.Alignment, TaskKind.Judge, "item", "a", null);
        Assert.Equal(ReceiptKind.NotGiven, _file.Votes.Cast(_rater.Id, Given("key-1", Answer.Yes)).Kind);
        Assert.Equal(ReceiptKind.NotGiven, _file.Votes.Cast(_rater.Id, Given("key-2", Answer.Left, task: single)).Kind);
        Assert.Equal(ReceiptKind.NotGiven, _file.Votes.Cast(_rater.Id, new(99, "key-3", Answer.Left)).Kind);
        var appeal = Given("key-4", Answer.Left, task: Pair with { Question = Question.Appeal }) with { LeftFlaws = FlawMark.Minor };
        Assert.Equal(ReceiptKind.NotGiven, _file.Votes.Cast(_rater.Id, appeal).Kind);
        Assert.Equal(ReceiptKind.NotGiven, _file.Votes.Cast(_file.Raters.Add("Ben")!.Id, Given("key-5")).Kind);
        Assert.Empty(_file.Votes.Standing());
    }

    [Fact]
    public void Undo_reopens_the_task_with_its_answer_and_is_idempotent()
    {
        var (first, second) = (Given("key-1"), Given("key-2", Answer.Tie, task: Pair with { Item = "other" }));
        _file.Votes.Cast(_rater.Id, first);
        _file.Votes.Cast(_rater.Id, second);
        var undone = _file.Votes.Undo(_rater.Id, "undo-1");
        Assert.Equal(undone, _file.Votes.Undo(_rater.Id, "undo-1"));
        Assert.Equal(first.Assignment, Assert.Single(_file.Votes.Standing()).Given.Id);
        var open = _file.Assignments.Outstanding(_rater.Id)!;
        Assert.Equal(second.Assignment, open.Id);
        Assert.Equal(second, _file.Votes.Previous(open));
        // An undone vote is not restored by a late repetition of its submission.
        Assert.Equal(ReceiptKind.Kept, _file.Votes.Cast(_rater.Id, second).Kind);
        Assert.Single(_file.Votes.Standing());
        Assert.Equal(ReceiptKind.Kept, _file.Votes.Cast(_rater.Id, second with { Key = "key-3", Answer = Answer.Right }).Kind);
        Assert.Equal(ReceiptKind.Kept, _file.Votes.Undo(_rater.Id, "undo-2").Kind);
        Assert.Equal(ReceiptKind.Kept, _file.Votes.Undo(_rater.Id, "undo-3").Kind);
        Assert.Equal(ReceiptKind.NothingToUndo, _file.Votes.Undo(_rater.Id, "undo-4").Kind);
    }

    [Theory]
    [InlineData(Answer.Left, false, 1)]
    [InlineData(Answer.Left, true, -1)]
    [InlineData(Answer.Right, false, -1)]
    [InlineData(Answer.Right, true, 1)]
    [InlineData(Answer.Tie, true, 0)]
    public void The_outcome_is_independent_of_the_side(object answer, bool swapped, int outcome)
    {
        _file.Votes.Cast(_rater.Id, Given("key-1", (Answer)answer, swapped) with { LeftFlaws = FlawMark.Major });
        var vote = Assert.Single(_file.Votes.Standing());
        Assert.Equal(outcome, vote.Outcome);
        Assert.Equal(swapped ? null : FlawMark.Major, vote.FirstFlaws);
        Assert.Equal(swapped ? FlawMark.Major : null, vote.SecondFlaws);
    }

    [Theory]
    [InlineData(TaskKind.Identical, Answer.Tie, true)]
    [InlineData(TaskKind.Identical, Answer.Left, false)]
    [InlineData(TaskKind.Degraded, Answer.Left, true)] // the first is the real one
    [InlineData(TaskKind.Degraded, Answer.Right, false)]
    [InlineData(TaskKind.Degraded, Answer.Tie, false)]
    public void Checks_are_passed_by_who_looks(object kind, object answer, bool passed)
    {
        _file.Votes.Cast(_rater.Id, Given("key-1", (Answer)answer, task: Pair with { Kind = (TaskKind)kind }));
        Assert.Equal(passed, Assert.Single(_file.Votes.Standing()).PassedCheck);
    }

    [Fact]
    public void The_database_rejects_a_second_vote_of_a_rater_on_a_task()
    {
        var (first, second) = (Given("key-1"), Given("key-2"));
        _file.Votes.Cast(_rater.Id, first);
        Assert.Contains("UNIQUE", Assert.Throws<InvalidOperationException>(() => _file.Votes.Cast(_rater.Id, second)).Message);
        // The event of the rejected vote is not stored either.
        Assert.Equal(1, _file.Database.Query("SELECT COUNT(*) FROM events", static row => row.GetInt64(0))[0]);
    }

    [Fact]
    public void A_second_server_is_rejected_but_readers_are_not()
    {
        var path = Path.Combine(_folder, "arena.sqlite");
        Assert.Contains(
            "serves this study (",
            Assert.Throws<EnvironmentException>(() => StudyFile.Serve(path, TimeProvider.System)).Message
        );
        using var reader = StudyFile.Read(path, TimeProvider.System);
        Assert.Equal("Ann", Assert.Single(reader.Raters.All()).Name);
    }

    [Fact]
    public void A_file_without_a_study_is_rejected()
    {
        var path = Path.Combine(_folder, "other.sqlite");
        Assert.Throws<InputException>(() => StudyFile.Read(path, TimeProvider.System));
        File.WriteAllText(path, new string('x', 5000));
        Assert.Throws<InputException>(() => StudyFile.Read(path, TimeProvider.System));
        Assert.Throws<InputException>(() => StudyFile.Serve(path, TimeProvider.System));
    }

    [Fact]
    public void The_file_is_readable_by_its_owner_only()
    {
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_folder, "arena.sqlite")));
    }
}
