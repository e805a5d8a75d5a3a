using Retouch.Arena.Study;
using Retouch.Arena.Votes;
using Retouch.Core.Errors;

namespace Retouch.Arena.Tests.Votes;

/// <summary>A judgement is kept once, however often it is sent, and can be taken back.</summary>
public sealed class VoteTableTests : IDisposable
{
    private static readonly StudyTask Pair = new(Question.Flaws, TaskKind.Judge, "item", "a", "b");

    private readonly string folder = Directory.CreateTempSubdirectory("retouch-votes-").FullName;
    private readonly StudyFile file;
    private readonly Rater rater;

    public VoteTableTests()
    {
        file = StudyFile.Serve(Path.Combine(folder, "arena.sqlite"), TimeProvider.System);
        rater = file.Raters.Add("Ann")!;
    }

    public void Dispose()
    {
        file.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private Ballot Given(string key, Answer answer = Answer.Left, bool swapped = false, StudyTask? task = null) =>
        new(file.Assignments.Add(rater.Id, file.Assignments.Of(rater.Id).Count, task ?? Pair, swapped).Id, key, answer);

    [Fact]
    public void SendingAgain_GivesTheSameReplyAndOneVote()
    {
        var ballot = Given("key-1") with { LeftFlaws = FlawMark.Major, Milliseconds = 1234 };
        var first = file.Votes.Cast(rater.Id, ballot);
        Assert.Equal(ReceiptKind.Kept, first.Kind);
        Assert.Equal(first, file.Votes.Cast(rater.Id, ballot));
        var vote = Assert.Single(file.Votes.Standing());
        Assert.Equal((Answer.Left, FlawMark.Major, null, 1234), (vote.Answer, vote.LeftFlaws, vote.RightFlaws, vote.Milliseconds));
    }

    [Fact]
    public void AKeyUsedForSomethingElse_IsRefused()
    {
        var ballot = Given("key-1");
        file.Votes.Cast(rater.Id, ballot);
        Assert.Equal(ReceiptKind.KeyReused, file.Votes.Cast(rater.Id, ballot with { Answer = Answer.Right }).Kind);
        Assert.Equal(ReceiptKind.KeyReused, file.Votes.Undo(rater.Id, "key-1").Kind);
        Assert.Equal(Answer.Left, Assert.Single(file.Votes.Standing()).Answer);
    }

    [Fact]
    public void ASecondVoteOnATask_IsRefused()
    {
        var ballot = Given("key-1");
        file.Votes.Cast(rater.Id, ballot);
        Assert.Equal(ReceiptKind.AlreadyJudged, file.Votes.Cast(rater.Id, ballot with { Key = "key-2", Answer = Answer.Right }).Kind);
        Assert.Single(file.Votes.Standing());
    }

    [Fact]
    public void AnswersThatDoNotFit_AreRefused()
    {
        var single = new StudyTask(Question.Alignment, TaskKind.Judge, "item", "a", null);
        Assert.Equal(ReceiptKind.NotGiven, file.Votes.Cast(rater.Id, Given("key-1", Answer.Yes)).Kind);
        Assert.Equal(ReceiptKind.NotGiven, file.Votes.Cast(rater.Id, Given("key-2", Answer.Left, task: single)).Kind);
        Assert.Equal(ReceiptKind.NotGiven, file.Votes.Cast(rater.Id, new(99, "key-3", Answer.Left)).Kind);
        var appeal = Given("key-4", Answer.Left, task: Pair with { Question = Question.Appeal }) with { LeftFlaws = FlawMark.Minor };
        Assert.Equal(ReceiptKind.NotGiven, file.Votes.Cast(rater.Id, appeal).Kind);
        Assert.Equal(ReceiptKind.NotGiven, file.Votes.Cast(file.Raters.Add("Ben")!.Id, Given("key-5")).Kind);
        Assert.Empty(file.Votes.Standing());
    }

    [Fact]
    public void Undo_GivesTheTaskBackWithWhatWasSaid_AndRepeatsItsReply()
    {
        var (first, second) = (Given("key-1"), Given("key-2", Answer.Tie, task: Pair with { Item = "other" }));
        file.Votes.Cast(rater.Id, first);
        file.Votes.Cast(rater.Id, second);
        var undone = file.Votes.Undo(rater.Id, "undo-1");
        Assert.Equal(undone, file.Votes.Undo(rater.Id, "undo-1"));
        Assert.Equal(first.Assignment, Assert.Single(file.Votes.Standing()).Given.Id);
        var open = file.Assignments.Outstanding(rater.Id)!;
        Assert.Equal(second.Assignment, open.Id);
        Assert.Equal(second, file.Votes.Previous(open));
        // The vote that was taken back does not come back when its submission arrives again, late.
        Assert.Equal(ReceiptKind.Kept, file.Votes.Cast(rater.Id, second).Kind);
        Assert.Single(file.Votes.Standing());
        Assert.Equal(ReceiptKind.Kept, file.Votes.Cast(rater.Id, second with { Key = "key-3", Answer = Answer.Right }).Kind);
        Assert.Equal(ReceiptKind.Kept, file.Votes.Undo(rater.Id, "undo-2").Kind);
        Assert.Equal(ReceiptKind.Kept, file.Votes.Undo(rater.Id, "undo-3").Kind);
        Assert.Equal(ReceiptKind.NothingToUndo, file.Votes.Undo(rater.Id, "undo-4").Kind);
    }

    [Theory]
    [InlineData(Answer.Left, false, 1)]
    [InlineData(Answer.Left, true, -1)]
    [InlineData(Answer.Right, false, -1)]
    [InlineData(Answer.Right, true, 1)]
    [InlineData(Answer.Tie, true, 0)]
    public void Outcome_IsForTheModelWhicheverSideItWasOn(object answer, bool swapped, int outcome)
    {
        file.Votes.Cast(rater.Id, Given("key-1", (Answer)answer, swapped) with { LeftFlaws = FlawMark.Major });
        var vote = Assert.Single(file.Votes.Standing());
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
    public void Checks_ArePassedByWhoLooks(object kind, object answer, bool passed)
    {
        file.Votes.Cast(rater.Id, Given("key-1", (Answer)answer, task: Pair with { Kind = (TaskKind)kind }));
        Assert.Equal(passed, Assert.Single(file.Votes.Standing()).PassedCheck);
    }

    [Fact]
    public void TheDatabaseItself_RefusesASecondVoteOfARaterOnATask()
    {
        var (first, second) = (Given("key-1"), Given("key-2"));
        file.Votes.Cast(rater.Id, first);
        Assert.Contains("UNIQUE", Assert.Throws<InvalidOperationException>(() => file.Votes.Cast(rater.Id, second)).Message);
        // And the event of the refused one is not kept either.
        Assert.Equal(1, file.Database.Query("SELECT COUNT(*) FROM events", static row => row.Number(0))[0]);
    }

    [Fact]
    public void ASecondServer_IsRefused_AndReadersAreNot()
    {
        var path = Path.Combine(folder, "arena.sqlite");
        Assert.Contains(
            "serves this study (",
            Assert.Throws<EnvironmentException>(() => StudyFile.Serve(path, TimeProvider.System)).Message
        );
        using var reader = StudyFile.Read(path, TimeProvider.System);
        Assert.Equal("Ann", Assert.Single(reader.Raters.All()).Name);
    }

    [Fact]
    public void AFileThatIsNoStudy_IsRefused()
    {
        var path = Path.Combine(folder, "other.sqlite");
        Assert.Throws<InputException>(() => StudyFile.Read(path, TimeProvider.System));
        File.WriteAllText(path, new string('x', 5000));
        Assert.Throws<InputException>(() => StudyFile.Read(path, TimeProvider.System));
        Assert.Throws<InputException>(() => StudyFile.Serve(path, TimeProvider.System));
    }

    [Fact]
    public void TheFile_IsItsOwnersAlone()
    {
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(folder, "arena.sqlite")));
    }
}
