using Microsoft.Data.Sqlite;
using Retouch.Arena.Votes;
using Retouch.Core.Errors;

namespace Retouch.Arena.Tests.Votes;

/// <summary>Errors of SQLite in the user's words, and values that can be null.</summary>
public sealed class DatabaseTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-database-").FullName;

    private string File => Path.Combine(_folder, "a;b = 'c'.sqlite");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_constraint_is_named_with_file_and_code()
    {
        using var database = Database.Open(File, create: true);
        database.Execute("CREATE TABLE t (a UNIQUE)");
        database.Execute("INSERT INTO t VALUES ($1)", 1);
        var error = Assert.Throws<InvalidOperationException>(() => database.Execute("INSERT INTO t VALUES ($1)", 1));
        Assert.Equal($"'{File}': UNIQUE constraint failed: t.a (SQLite 19).", error.Message);
    }

    [Fact]
    public void Another_file_is_rejected_with_the_option_that_names_it()
    {
        System.IO.File.WriteAllText(File, new string('x', 5000));
        var error = Assert.Throws<InputException>(() => Database.Open(File, create: false));
        Assert.Equal(
            $"'{File}': file is not a database (SQLite 26). Not a file of votes, or damaged; choose another one with --votes.",
            error.Message
        );
    }

    [Fact]
    public void A_folder_in_place_of_the_file_is_rejected()
    {
        Directory.CreateDirectory(File);
        var error = Assert.Throws<EnvironmentException>(() => Database.Open(File, create: true));
        Assert.StartsWith($"Cannot create '{File}': ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_statement_is_used_again_with_other_arguments()
    {
        using var database = Database.Open(File, create: true);
        database.Execute("CREATE TABLE t (a, b)");
        foreach (var (text, number) in ((string?, int?)[])[("x", null), (null, 3), ("", 0)])
            database.Execute("INSERT INTO t VALUES ($1, $2)", text, number);
        Assert.Equal(
            [("x", null), (null, 3), ("", 0)],
            database.Query("SELECT a, b FROM t ORDER BY rowid", static row => (row.TextOrNull(0), row.NumberOrNull(1)))
        );
        Assert.Equal(2, database.Execute("UPDATE t SET b = $1 WHERE a IS NOT NULL", true));
        Assert.Equal([3, 1, 1], database.Query("SELECT b FROM t ORDER BY a", static row => row.GetInt32(0)));
    }

    [Fact]
    public void References_are_checked_and_a_violation_undoes_the_transaction()
    {
        using var database = Database.Open(File, create: true);
        database.Execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b REFERENCES t (a))");
        Assert.Throws<InvalidOperationException>(() =>
            database.Transaction(() =>
            {
                database.Execute("INSERT INTO t VALUES (1, NULL)");
                return database.Execute("INSERT INTO t VALUES (2, 9)");
            })
        );
        Assert.Empty(database.Query("SELECT a FROM t", static row => row.GetInt64(0)));
    }

    [Fact]
    public async Task A_file_that_another_connection_writes_is_awaited()
    {
        using var database = Database.Open(File, create: true);
        database.Execute("CREATE TABLE t (a)");
        using var other = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = File, Pooling = false }.ConnectionString);
        other.Open();
        var writing = other.BeginTransaction();
        var waiting = Task.Run(() => database.Transaction(() => database.Execute("INSERT INTO t VALUES (1)")));
        Assert.NotSame(waiting, await Task.WhenAny(waiting, Task.Delay(TimeSpan.FromMilliseconds(300))));
        writing.Rollback();
        Assert.Equal(1, await waiting);
    }

    [Fact]
    public void Settings_for_durability_are_active()
    {
        using var database = Database.Open(File, create: true);
        database.Execute("CREATE TABLE t (a)");
        Assert.Equal(7, database.Insert("INSERT INTO t (rowid, a) VALUES (7, $1) RETURNING rowid", "x"));
        Assert.Equal("wal", database.Query("PRAGMA journal_mode", static row => row.GetString(0))[0]);
        Assert.Equal(2, database.Query("PRAGMA synchronous", static row => row.GetInt64(0))[0]);
    }

    [Fact]
    public void A_failed_transaction_is_rolled_back()
    {
        using var database = Database.Open(File, create: true);
        database.Execute("CREATE TABLE t (a)");
        Assert.Throws<FormatException>(() =>
            database.Transaction<int>(() =>
            {
                database.Execute("INSERT INTO t VALUES (1)");
                throw new FormatException();
            })
        );
        Assert.Empty(database.Query("SELECT a FROM t", static row => row.GetInt64(0)));
        database.Transaction(() => database.Execute("INSERT INTO t VALUES (2)"));
        Assert.Equal([2], database.Query("SELECT a FROM t", static row => row.GetInt64(0)));
    }
}
