using Retouch.Arena.Study;

namespace Retouch.Arena.Votes;

/// <summary>Answers of raters. Left and right are sides of the screen, not models.</summary>
internal enum Answer
{
    Left,
    Right,
    Tie,
    Yes,
    No,
}

/// <summary>Flaw mark of one picture.</summary>
internal enum FlawMark
{
    None,
    Minor,
    Major,
}

/// <summary>Rater.</summary>
internal sealed record Rater(long Id, string Name, bool Excluded);

/// <summary>Task assigned to a rater.</summary>
/// <param name="Id">Identifier.</param>
/// <param name="Rater">Identifier of the rater.</param>
/// <param name="Position">Number of tasks previously assigned to the rater.</param>
/// <param name="Task">Task.</param>
/// <param name="Swapped">Whether the task's first picture is on the right.</param>
internal sealed record Assignment(long Id, long Rater, int Position, StudyTask Task, bool Swapped);

/// <summary>Submission of a rater.</summary>
/// <param name="Assignment">Id of the assignment.</param>
/// <param name="Key">Idempotency key from the browser.</param>
/// <param name="Answer">Answer.</param>
/// <param name="LeftFlaws">Mark of the left picture; null if none.</param>
/// <param name="RightFlaws">Mark of the right picture.</param>
/// <param name="Milliseconds">Duration in milliseconds; null if unknown.</param>
internal sealed record Ballot(
    long Assignment,
    string Key,
    Answer Answer,
    FlawMark? LeftFlaws = null,
    FlawMark? RightFlaws = null,
    int? Milliseconds = null
);

/// <summary>Outcome of a submission.</summary>
internal enum ReceiptKind
{
    /// <summary>Stored, now or by an earlier submission with the same key.</summary>
    Kept,

    /// <summary>The task is not assigned to the rater, or the answer does not suit its question.</summary>
    NotGiven,

    /// <summary>Another submission has already judged the task.</summary>
    AlreadyJudged,

    /// <summary>The key belongs to another submission.</summary>
    KeyReused,

    /// <summary>No judgement to undo.</summary>
    NothingToUndo,
}

/// <summary>Reply to a submission.</summary>
/// <param name="Kind">Outcome.</param>
/// <param name="Content">Reply as JSON, byte-identical for repeated submissions; null unless stored.</param>
internal sealed record Receipt(ReceiptKind Kind, string? Content = null);

/// <summary>A valid judgement.</summary>
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
    /// 1 if the first picture was preferred or matches the prompt, −1 if the second was preferred or it does not match, 0 for a tie.
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

    /// <summary>Flaws marked on the task's first picture.</summary>
    public FlawMark? FirstFlaws => Given.Swapped ? RightFlaws : LeftFlaws;

    /// <summary>Flaws marked on the task's second picture.</summary>
    public FlawMark? SecondFlaws => Given.Swapped ? LeftFlaws : RightFlaws;
}
