using System.Text.Json;
using Microsoft.Data.Sqlite;
using Retouch.Arena.Study;
using Retouch.Core.Json;

namespace Retouch.Arena.Votes;

/// <summary>
/// Judgements: an event with a key from the browser, and a row that an undo removes, written in one transaction. A repeated submission
/// receives the reply of the first one.
/// </summary>
internal sealed class VoteTable(Database database, AssignmentTable assignments, TimeProvider time)
{
    private const string All = $"""
        SELECT {AssignmentTable.Columns}, r.name, r.excluded, v.answer, v.left_flaws, v.right_flaws, v.milliseconds, v.at
        FROM votes v JOIN assignments a ON a.id = v.assignment JOIN raters r ON r.id = v.rater
        """;

    /// <summary>Stores a judgement.</summary>
    public Receipt Cast(long rater, Ballot ballot) =>
        database.Transaction(() =>
        {
            var content = Canonical(ballot);
            if (Known(rater, ballot.Key) is { } known)
                return known.Content == content ? new Receipt(ReceiptKind.Kept, known.Receipt) : new(ReceiptKind.KeyReused);
            if (assignments.Find(rater, ballot.Assignment) is not { } given || !Fits(ballot, given.Task.Question))
                return new(ReceiptKind.NotGiven);
            if (database.Query("SELECT 1 FROM votes WHERE assignment = $1", static _ => true, given.Id).Count > 0)
                return new(ReceiptKind.AlreadyJudged);
            var receipt = JsonSerializer.Serialize(new { assignment = given.Id, done = Count(rater) + 1 }, JsonStyles.Verbatim);
            var at = Timestamps.Now(time);
            var id = AddEvent(rater, ballot.Key, "vote", given.Id, content, receipt, at);
            database.Execute(
                "INSERT INTO votes VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                given.Id,
                rater,
                given.Task.Question.Name(),
                AssignmentTable.KeyAt(given.Task, given.Position),
                ballot.Answer.ToString(),
                ballot.LeftFlaws?.ToString(),
                ballot.RightFlaws?.ToString(),
                ballot.Milliseconds,
                id,
                at
            );
            return new(ReceiptKind.Kept, receipt);
        });

    /// <summary>Undoes a rater's latest judgement; its task is open again.</summary>
    public Receipt Undo(long rater, string key) =>
        database.Transaction(() =>
        {
            if (Known(rater, key) is { } known)
                return known.Content == "undo" ? new Receipt(ReceiptKind.Kept, known.Receipt) : new(ReceiptKind.KeyReused);
            if (
                database.Query(
                    "SELECT assignment FROM votes WHERE rater = $1 ORDER BY event DESC LIMIT 1",
                    static row => row.GetInt64(0),
                    rater
                )
                is not [var assignment]
            )
                return new(ReceiptKind.NothingToUndo);
            database.Execute("DELETE FROM votes WHERE assignment = $1", assignment);
            var receipt = JsonSerializer.Serialize(new { assignment, done = Count(rater) }, JsonStyles.Verbatim);
            AddEvent(rater, key, "undo", assignment, "undo", receipt, Timestamps.Now(time));
            return new(ReceiptKind.Kept, receipt);
        });

    /// <summary>A rater's undone judgement of a task.</summary>
    public Ballot? Previous(Assignment given) =>
        database
            .Query(
                "SELECT content FROM events WHERE assignment = $1 AND kind = 'vote' ORDER BY id DESC LIMIT 1",
                static row => JsonSerializer.Deserialize<Ballot>(row.GetString(0), JsonStyles.Verbatim)!,
                given.Id
            )
            .SingleOrDefault();

    /// <summary>Number of valid judgements of a rater, including attention checks.</summary>
    public int Count(long rater) => database.Query("SELECT COUNT(*) FROM votes WHERE rater = $1", static row => row.GetInt32(0), rater)[0];

    /// <summary>All valid judgements in order of arrival.</summary>
    public List<Vote> Standing() => database.Query($"{All} ORDER BY v.event", ReadVote);

    /// <summary>Ratings per task, without excluded raters.</summary>
    public List<(Question Question, string Task, int Ratings)> Tally() =>
        database.Query(
            """
            SELECT v.question, v.task, COUNT(*) FROM votes v JOIN raters r ON r.id = v.rater JOIN assignments a ON a.id = v.assignment
            WHERE r.excluded = 0 AND a.kind = $1 GROUP BY v.question, v.task
            """,
            static row => (Questions.Parse(row.GetString(0)), row.GetString(1), row.GetInt32(2)),
            nameof(TaskKind.Judge)
        );

    private static string Canonical(Ballot ballot) => JsonSerializer.Serialize(ballot, JsonStyles.Verbatim);

    private static bool Fits(Ballot ballot, Question question) =>
        ballot.Answer is Answer.Yes or Answer.No == !question.IsPaired()
        && (question == Question.Flaws || ballot is { LeftFlaws: null, RightFlaws: null });

    private static Vote ReadVote(SqliteDataReader row)
    {
        const int at = AssignmentTable.ColumnCount;
        return new(
            AssignmentTable.Read(row),
            row.GetString(at),
            row.GetBoolean(at + 1),
            Enum.Parse<Answer>(row.GetString(at + 2)),
            Mark(row.TextOrNull(at + 3)),
            Mark(row.TextOrNull(at + 4)),
            row.NumberOrNull(at + 5),
            row.GetString(at + 6)
        );
    }

    private static FlawMark? Mark(string? text) => text is null ? null : Enum.Parse<FlawMark>(text);

    private (string Content, string Receipt)? Known(long rater, string key) =>
        database.Query(
            "SELECT content, receipt FROM events WHERE rater = $1 AND key = $2",
            static row => (row.GetString(0), row.GetString(1)),
            rater,
            key
        )
            is [var known]
            ? known
            : null;

    private long AddEvent(long rater, string key, string kind, long assignment, string content, string receipt, string at) =>
        database.Insert(
            "INSERT INTO events (rater, key, kind, assignment, content, receipt, at) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
            rater,
            key,
            kind,
            assignment,
            content,
            receipt,
            at
        );
}
