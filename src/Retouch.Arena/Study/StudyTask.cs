namespace Retouch.Arena.Study;

/// <summary>Why a rater sees something.</summary>
internal enum TaskKind
{
    /// <summary>To be judged: counts.</summary>
    Judge,

    /// <summary>Attention check: the same picture twice; only a tie is right.</summary>
    Identical,

    /// <summary>Attention check: a picture and a spoiled copy of it; only the first is right.</summary>
    Degraded,
}

/// <summary>Something to be judged, the same for every rater.</summary>
/// <param name="Question">What is asked.</param>
/// <param name="Kind">Whether it counts.</param>
/// <param name="Item">The item.</param>
/// <param name="First">A model.</param>
/// <param name="Second">The other one, later in ordinal order; null for a single picture. For a check the same as
/// <paramref name="First"/>.</param>
internal sealed record StudyTask(Question Question, TaskKind Kind, string Item, string First, string? Second)
{
    private const char Separator = '\u001f';

    /// <summary>Tells tasks of a question apart, and stays the same when pictures are added to the study.</summary>
    public string Key => string.Join(Separator, Kind.ToString(), Item, First, Second);
}
