using Retouch.Arena.Study;

namespace Retouch.Arena.Votes;

/// <summary>Who was given which task, and on which side which picture was.</summary>
internal sealed class AssignmentTable(Database database, TimeProvider time)
{
    /// <summary>The columns that <see cref="Read"/> reads, of the table called a.</summary>
    public const string Columns = "a.id, a.rater, a.position, a.question, a.kind, a.item, a.first, a.second, a.swapped";

    /// <summary>How many columns that is.</summary>
    public const int ColumnCount = 9;

    /// <summary>The tasks that a rater was given, in order.</summary>
    public List<Assignment> Of(long rater) =>
        database.Query($"SELECT {Columns} FROM assignments a WHERE a.rater = ? ORDER BY a.position", Read, rater);

    /// <summary>The first task that a rater was given and has not judged, or undid.</summary>
    public Assignment? Outstanding(long rater) =>
        database
            .Query(
                $"SELECT {Columns} FROM assignments a LEFT JOIN votes v ON v.assignment = a.id WHERE a.rater = ? AND v.assignment "
                    + $"IS NULL ORDER BY a.position LIMIT 1",
                Read,
                rater
            )
            .SingleOrDefault();

    /// <summary>One assignment of a rater; null where there is none of that number, or it is another's.</summary>
    public Assignment? Find(long rater, long id) =>
        database.Query($"SELECT {Columns} FROM assignments a WHERE a.rater = ? AND a.id = ?", Read, rater, id).SingleOrDefault();

    /// <summary>Gives a task to a rater.</summary>
    public Assignment Add(long rater, int position, StudyTask task, bool swapped)
    {
        var id = database.Insert(
            "INSERT INTO assignments (rater, position, question, task, kind, item, first, second, swapped, given) VALUES (?, ?, "
                + "?, ?, ?, ?, ?, ?, ?, ?)",
            rater,
            position,
            task.Question.Name(),
            KeyAt(task, position),
            task.Kind.ToString(),
            task.Item,
            task.First,
            task.Second,
            swapped,
            Timestamps.Now(time)
        );
        return new(id, rater, position, task, swapped);
    }

    /// <summary>What makes a task unique among a rater's: a check may come again with the same picture.</summary>
    public static string KeyAt(StudyTask task, int position) => task.Kind == TaskKind.Judge ? task.Key : $"{task.Key}\u001f{position}";

    public static Assignment Read(Row row) =>
        new(
            row.Number(0),
            row.Number(1),
            (int)row.Number(2),
            new(Questions.Parse(row.Text(3)), Enum.Parse<TaskKind>(row.Text(4)), row.Text(5), row.Text(6), row.TextOrNull(7)),
            row.Number(8) != 0
        );
}
