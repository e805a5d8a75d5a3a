namespace Retouch.Arena.Study;

/// <summary>Kind of a task.</summary>
internal enum TaskKind
{
    /// <summary>Judgement that counts.</summary>
    Judge,

    /// <summary>Attention check: the same picture twice; only a tie is right.</summary>
    Identical,

    /// <summary>Attention check: a picture and a degraded copy of it; only the first is right.</summary>
    Degraded,
}

/// <summary>A task, identical for all raters.</summary>
/// <param name="Question">The question.</param>
/// <param name="Kind">Judgement or attention check.</param>
/// <param name="Item">The item.</param>
/// <param name="First">A model.</param>
/// <param name="Second">The other one, later in ordinal order; null for a single picture. For a check the same as
/// <paramref name="First"/>.</param>
internal sealed record StudyTask(Question Question, TaskKind Kind, string Item, string First, string? Second)
{
    private const char Separator = '\u001f';

    /// <summary>Unique key within a question; does not change when pictures are added to the study.</summary>
    public string Key => string.Join(Separator, Kind.ToString(), Item, First, Second);
}
