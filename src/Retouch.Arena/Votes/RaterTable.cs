using Microsoft.Data.Sqlite;

namespace Retouch.Arena.Votes;

/// <summary>Raters and their browser sessions.</summary>
internal sealed class RaterTable(Database database, TimeProvider time)
{
    private const string Columns = "SELECT r.id, r.name, r.excluded FROM raters r ";

    /// <summary>All raters in order of arrival.</summary>
    public List<Rater> All() => database.Query(Columns + "ORDER BY r.id", Read);

    /// <summary>Rater of a name, ignoring case.</summary>
    public Rater? Named(string name) => database.Query(Columns + "WHERE r.name = $1", Read, name).SingleOrDefault();

    /// <summary>Adds a rater; null if the name is taken.</summary>
    public Rater? Add(string name) =>
        database.Transaction(() =>
            Named(name) is null
                ? new Rater(
                    database.Insert("INSERT INTO raters (name, joined) VALUES ($1, $2) RETURNING id", name, Timestamps.Now(time)),
                    name,
                    false
                )
                : null
        );

    /// <summary>Adds a rater with a session in one transaction; null if the name is taken.</summary>
    public Rater? Join(string session, string name) =>
        database.Transaction(() =>
        {
            var rater = Add(name);
            if (rater is not null)
                Bind(session, rater.Id);
            return rater;
        });

    /// <summary>Rater of a session.</summary>
    public Rater? OfSession(string session) =>
        database.Query(Columns + "JOIN sessions s ON s.rater = r.id WHERE s.id = $1", Read, session).SingleOrDefault();

    /// <summary>Assigns a session to a rater.</summary>
    public void Bind(string session, long rater) =>
        database.Execute("INSERT INTO sessions VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET rater = excluded.rater", session, rater);

    /// <summary>Excludes or includes a rater's votes. False for an unknown rater.</summary>
    public bool SetExcluded(long rater, bool excluded) =>
        database.Execute("UPDATE raters SET excluded = $1 WHERE id = $2", excluded, rater) > 0;

    private static Rater Read(SqliteDataReader row) => new(row.GetInt64(0), row.GetString(1), row.GetBoolean(2));
}

/// <summary>Timestamps of the file: UTC, ISO 8601.</summary>
internal static class Timestamps
{
    public static string Now(TimeProvider time) =>
        time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture);
}
