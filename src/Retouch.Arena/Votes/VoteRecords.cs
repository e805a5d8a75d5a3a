using Retouch.Arena.Study;

namespace Retouch.Arena.Votes;

/// <summary>What a rater can say. Left and right are sides of the screen, not models.</summary>
internal enum Answer
{
    Left,
    Right,
    Tie,
    Yes,
    No,
}

/// <summary>What a rater marked on one picture.</summary>
internal enum FlawMark
{
    None,
    Minor,
    Major,
}

/// <summary>Someone who judges.</summary>
internal sealed record Rater(long Id, string Name, bool Excluded);

/// <summary>A task that a rater was given.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Rater">The rater's number.</param>
/// <param name="Position">How many tasks the rater was given before.</param>
/// <param name="Task">What is judged.</param>
/// <param name="Swapped">Whether the task's first picture is on the right.</param>
internal sealed record Assignment(long Id, long Rater, int Position, StudyTask Task, bool Swapped);

/// <summary>What a rater sends in.</summary>
/// <param name="Assignment">The number of the task that was given.</param>
/// <param name="Key">Made by the browser for this judgement: sent again, it is the same one.</param>
/// <param name="Answer">The answer.</param>
/// <param name="LeftFlaws">Marked on the left picture; null where nothing was marked.</param>
/// <param name="RightFlaws">Marked on the right picture.</param>
/// <param name="Milliseconds">How long it took; null where the browser did not say.</param>
internal sealed record Ballot(
    long Assignment,
    string Key,
    Answer Answer,
    FlawMark? LeftFlaws = null,
    FlawMark? RightFlaws = null,
    int? Milliseconds = null
);

/// <summary>What became of something that was sent in.</summary>
internal enum ReceiptKind
{
    /// <summary>It is kept, now or since it was first sent.</summary>
    Kept,

    /// <summary>The rater was never given that task, or the answer does not belong to its question.</summary>
    NotGiven,

    /// <summary>The task is judged already, by another submission.</summary>
    AlreadyJudged,

    /// <summary>The key was used for something else before.</summary>
    KeyReused,

    /// <summary>There is nothing to undo.</summary>
    NothingToUndo,
}

/// <summary>The reply to a submission.</summary>
/// <param name="Kind">What became of it.</param>
/// <param name="Content">What the browser is told, as JSON; the same bytes whenever the same submission comes again. Null unless
/// kept.</param>
internal sealed record Receipt(ReceiptKind Kind, string? Content = null);

/// <summary>A judgement that stands.</summary>
internal sealed record Vote(
    Assignment Given,
    string Rater,
    bool Excluded,
    Answer Answer,
    FlawMark? LeftFlaws,
    FlawMark? RightFlaws,
    int? Milliseconds,
    string At
)
{
    /// <summary>
    /// 1 where the task's first picture was preferred or shows what the prompt says, −1 where the second or not, 0 for a tie.
    /// </summary>
    public int Outcome =>
        Answer switch
        {
            Answer.Yes => 1,
            Answer.No => -1,
            Answer.Tie => 0,
            _ => Answer == Answer.Left != Given.Swapped ? 1 : -1,
        };

    /// <summary>Whether an attention check was passed.</summary>
    public bool PassedCheck => Given.Task.Kind == TaskKind.Identical ? Outcome == 0 : Outcome == 1;

    /// <summary>The flaws marked on the task's first picture.</summary>
    public FlawMark? FirstFlaws => Given.Swapped ? RightFlaws : LeftFlaws;

    /// <summary>The flaws marked on the task's second picture.</summary>
    public FlawMark? SecondFlaws => Given.Swapped ? LeftFlaws : RightFlaws;
}
