using Microsoft.Data.Sqlite;
using Retouch.Arena.Study;

namespace Retouch.Arena.Votes;

/// <summary>Tasks assigned to raters, with the sides of the pictures.</summary>
internal sealed class AssignmentTable(Database database, TimeProvider time)
{
    /// <summary>Columns for <see cref="Read"/>, of the table alias a.</summary>
    public const string Columns = "a.id, a.rater, a.position, a.question, a.kind, a.item, a.first, a.second, a.swapped";

    /// <summary>Number of these columns.</summary>
    public const int ColumnCount = 9;

    /// <summary>Assignments of a rater in order.</summary>
    public List<Assignment> Of(long rater) =>
        database.Query($"SELECT {Columns} FROM assignments a WHERE a.rater = $1 ORDER BY a.position", Read, rater);

    /// <summary>First assignment of a rater without a vote.</summary>
    public Assignment? Outstanding(long rater) =>
        database
            .Query(
                $"SELECT {Columns} FROM assignments a LEFT JOIN votes v ON v.assignment = a.id WHERE a.rater = $1 AND v.assignment "
                    + $"IS NULL ORDER BY a.position LIMIT 1",
                Read,
                rater
            )
            .SingleOrDefault();

    /// <summary>Assignment of a rater by id; null if unknown or of another rater.</summary>
    public Assignment? Find(long rater, long id) =>
        database.Query($"SELECT {Columns} FROM assignments a WHERE a.rater = $1 AND a.id = $2", Read, rater, id).SingleOrDefault();

    /// <summary>Assigns a task to a rater.</summary>
    public Assignment Add(long rater, int position, StudyTask task, bool swapped)
    {
        var id = database.Insert(
            "INSERT INTO assignments (rater, position, question, task, kind, item, first, second, swapped, given) VALUES ($1, $2, "
                + "$3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
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

    /// <summary>Unique key among a rater's tasks: attention checks may repeat a picture.</summary>
    public static string KeyAt(StudyTask task, int position) => task.Kind == TaskKind.Judge ? task.Key : $"{task.Key}\u001f{position}";

    public static Assignment Read(SqliteDataReader row) =>
        new(
            row.GetInt64(0),
            row.GetInt64(1),
            row.GetInt32(2),
            new(
                Questions.Parse(row.GetString(3)),
                Enum.Parse<TaskKind>(row.GetString(4)),
                row.GetString(5),
                row.GetString(6),
                row.TextOrNull(7)
            ),
            row.GetBoolean(8)
        );
}
