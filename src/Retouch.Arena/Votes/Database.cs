using Microsoft.Data.Sqlite;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Arena.Votes;

/// <summary>
/// A connection to a SQLite file. All calls run under one lock, which a transaction holds until its commit. Committed data survive a killed
/// process and a power failure (write-ahead log, synchronous=FULL).
/// </summary>
internal sealed class Database : IDisposable
{
    private const int BusySeconds = 10;

    // SQLite's primary result codes (sqlite3.h).
    private const int SqlError = 1;
    private const int Corrupt = 11;
    private const int Constraint = 19;
    private const int Misuse = 21;
    private const int OutOfRange = 25;
    private const int NotADatabase = 26;

    private readonly string _path;
    private readonly SqliteConnection _connection;
    private readonly Dictionary<string, SqliteCommand> _commands = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private SqliteTransaction? _transaction;

    private Database(string path)
    {
        SqliteLibrary.EnsureLoaded();
        _path = path;
        var connection = new SqliteConnectionStringBuilder
        {
            DataSource = Path.GetFullPath(path),
            Mode = SqliteOpenMode.ReadWrite,
            ForeignKeys = true,
            DefaultTimeout = BusySeconds,
            // A pool would keep the file open after its connection is disposed.
            Pooling = false,
        };
        _connection = new(connection.ConnectionString);
    }

    /// <summary>Opens a file.</summary>
    /// <param name="path">Path of the file.</param>
    /// <param name="create">Whether to create the file if missing, readable by its owner only.</param>
    /// <exception cref="InputException">The file does not exist, or is not an SQLite file.</exception>
    /// <exception cref="EnvironmentException">The file cannot be opened.</exception>
    public static Database Open(string path, bool create)
    {
        if (!File.Exists(path))
        {
            if (!create)
                throw new InputException(
                    $"The file of votes '{path}' does not exist. 'retouch arena' creates it when started on the folder; "
                        + $"give another file with --votes."
                );
            CreatePrivate(path);
        }

        var database = new Database(path);
        try
        {
            database.Reporting(() =>
            {
                database._connection.Open();
                return true;
            });
            database.Execute("PRAGMA journal_mode=WAL");
            database.Execute("PRAGMA synchronous=FULL");
            return database;
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>Executes a statement; returns the number of changed rows.</summary>
    /// <param name="sql">Statement with the parameters $1, $2, ….</param>
    /// <param name="arguments">Values of the parameters: texts, integers, booleans or null.</param>
    public int Execute(string sql, params object?[] arguments)
    {
        lock (_gate)
            return Reporting(() => Command(sql, arguments).ExecuteNonQuery());
    }

    /// <summary>Inserts a row and returns the integer of the statement's RETURNING.</summary>
    /// <inheritdoc cref="Execute"/>
    public long Insert(string sql, params object?[] arguments) => Query(sql, static row => row.GetInt64(0), arguments).Single();

    /// <summary>All rows of a query.</summary>
    /// <inheritdoc cref="Execute"/>
    public List<T> Query<T>(string sql, Func<SqliteDataReader, T> read, params object?[] arguments)
    {
        lock (_gate)
        {
            return Reporting(() =>
            {
                using var reader = Command(sql, arguments).ExecuteReader();
                var rows = new List<T>();
                while (reader.Read())
                    rows.Add(read(reader));
                return rows;
            });
        }
    }

    /// <summary>
    /// Runs <paramref name="work"/> as a transaction, rolled back if it throws. A nested call joins the outer transaction.
    /// </summary>
    public T Transaction<T>(Func<T> work)
    {
        lock (_gate)
        {
            if (_transaction is not null)
                return work();
            using var transaction = Reporting(() => _connection.BeginTransaction(deferred: false));
            _transaction = transaction;
            try
            {
                var result = work();
                return Reporting(() =>
                {
                    transaction.Commit();
                    return result;
                });
            }
            finally
            {
                _transaction = null;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var command in _commands.Values)
            command.Dispose();
        _connection.Dispose();
    }

    private static void CreatePrivate(string path)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            new FileStream(path, options).Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EnvironmentException(
                $"Cannot create '{path}': {Reasons.Of(e)}. Choose a file for the votes in a writable folder with --votes.",
                e
            );
        }
    }

    /// <summary>The statement with its arguments. Statements are compiled once and kept.</summary>
    private SqliteCommand Command(string sql, object?[] arguments)
    {
        if (!_commands.TryGetValue(sql, out var command))
        {
            command = _connection.CreateCommand();
#pragma warning disable CA2100 // the texts are constants of this assembly; values are parameters
            command.CommandText = sql;
#pragma warning restore CA2100
            for (var i = 1; i <= arguments.Length; i++)
                command.Parameters.Add(new() { ParameterName = $"${i}" });
            _commands.Add(sql, command);
        }

        for (var i = 0; i < arguments.Length; i++)
            command.Parameters[i].Value = arguments[i] ?? DBNull.Value;
        command.Transaction = _transaction;
        return command;
    }

    private T Reporting<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (SqliteException e)
        {
            throw Failure(e);
        }
    }

    private Exception Failure(SqliteException e)
    {
        // The exception's text is "SQLite Error 19: 'UNIQUE constraint failed: votes.rater'.".
        var (opening, closing) = ($"SQLite Error {e.SqliteErrorCode}: '", "'.");
        var reason =
            e.Message.StartsWith(opening, StringComparison.Ordinal) && e.Message.EndsWith(closing, StringComparison.Ordinal)
                ? e.Message[opening.Length..^closing.Length]
                : e.Message;
        var message = $"'{_path}': {reason} (SQLite {e.SqliteErrorCode}).";
        return e.SqliteErrorCode switch
        {
            NotADatabase or Corrupt => new InputException(
                $"{message} Not a file of votes, or damaged; choose another one with --votes.",
                e
            ),
            Constraint or SqlError or Misuse or OutOfRange => new InvalidOperationException(message, e),
            _ => new EnvironmentException(
                $"{message} Check for a full disk, missing permissions, or another program that holds the file.",
                e
            ),
        };
    }
}

/// <summary>Columns that can be null.</summary>
internal static class NullableColumns
{
    /// <summary>Text column, or null.</summary>
    public static string? TextOrNull(this SqliteDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    /// <summary>Integer column, or null.</summary>
    public static int? NumberOrNull(this SqliteDataReader row, int column) => row.IsDBNull(column) ? null : row.GetInt32(column);
}
