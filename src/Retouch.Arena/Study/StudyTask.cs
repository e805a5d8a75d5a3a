namespace Retouch.Arena.Study;

/// <summary>Kind of a task.</summary>
internal enum TaskKind
{
    /// <summary>Counted judgement.</summary>
    Judge,

    /// <summary>Attention check: the same picture twice; only a tie is correct.</summary>
    Identical,

    /// <summary>Attention check: a picture and a degraded copy of it; only the first is correct.</summary>
    Degraded,
}

/// <summary>Task of a study, identical for all raters.</summary>
/// <param name="Question">Question.</param>
/// <param name="Kind">Judgement or attention check.</param>
/// <param name="Item">Key of the item.</param>
/// <param name="First">First model.</param>
/// <param name="Second">Second model, later in ordinal order; null for a single picture. For a check equal to
/// <paramref name="First"/>.</param>
internal sealed record StudyTask(Question Question, TaskKind Kind, string Item, string First, string? Second)
{
    private const char Separator = '\u001f';

    /// <summary>Unique key within a question; does not change when pictures are added to the study.</summary>
    public string Key => string.Join(Separator, Kind.ToString(), Item, First, Second);
}
