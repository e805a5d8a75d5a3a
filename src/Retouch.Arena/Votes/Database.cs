using Retouch.Core.Errors;
using Retouch.Core.Io;
using SQLitePCL;

namespace Retouch.Arena.Votes;

/// <summary>
/// A connection to a SQLite file. All calls run under one lock, which a transaction holds until its commit. Committed data survive a killed
/// process and a power failure (write-ahead log, synchronous=FULL).
/// </summary>
internal sealed class Database : IDisposable
{
    private const int BusyMilliseconds = 10_000;

    private readonly string _path;
    private readonly sqlite3 _handle;
    private readonly Lock _gate = new();
    private bool _inTransaction;

    static Database() => SqliteLibrary.EnsureLoaded();

    private Database(string path, sqlite3 handle) => (_path, _handle) = (path, handle);

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

        var rc = raw.sqlite3_open_v2(path, out var handle, raw.SQLITE_OPEN_READWRITE, null);
        var database = new Database(path, handle);
        try
        {
            if (rc != raw.SQLITE_OK)
                throw database.Failure(rc);
            _ = raw.sqlite3_busy_timeout(handle, BusyMilliseconds);
            database.Execute("PRAGMA journal_mode=WAL");
            database.Execute("PRAGMA synchronous=FULL");
            database.Execute("PRAGMA foreign_keys=ON");
            return database;
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>Executes a statement; returns the number of changed rows.</summary>
    public int Execute(string sql, params ReadOnlySpan<object?> arguments)
    {
        lock (_gate)
        {
            using var statement = Prepare(sql, arguments);
            int rc;
            do rc = raw.sqlite3_step(statement);
            while (rc == raw.SQLITE_ROW);
            return rc == raw.SQLITE_DONE ? raw.sqlite3_changes(_handle) : throw Failure(rc);
        }
    }

    /// <summary>Inserts a row and returns its id.</summary>
    public long Insert(string sql, params ReadOnlySpan<object?> arguments)
    {
        lock (_gate)
        {
            Execute(sql, arguments);
            return raw.sqlite3_last_insert_rowid(_handle);
        }
    }

    /// <summary>All rows of a query.</summary>
    public List<T> Query<T>(string sql, Func<Row, T> read, params ReadOnlySpan<object?> arguments)
    {
        lock (_gate)
        {
            using var statement = Prepare(sql, arguments);
            var rows = new List<T>();
            while (true)
            {
                var rc = raw.sqlite3_step(statement);
                if (rc == raw.SQLITE_DONE)
                    return rows;
                if (rc != raw.SQLITE_ROW)
                    throw Failure(rc);
                rows.Add(read(new(statement)));
            }
        }
    }

    /// <summary>
    /// Runs <paramref name="work"/> as a transaction, rolled back if it throws. A nested call joins the outer transaction.
    /// </summary>
    public T Transaction<T>(Func<T> work)
    {
        lock (_gate)
        {
            if (_inTransaction)
                return work();
            Execute("BEGIN IMMEDIATE");
            _inTransaction = true;
            try
            {
                var result = work();
                Execute("COMMIT");
                return result;
            }
            catch
            {
                // Fails if SQLite has already rolled back; no change is kept in either case.
                _ = raw.sqlite3_exec(_handle, "ROLLBACK");
                throw;
            }
            finally
            {
                _inTransaction = false;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _handle.Dispose();

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

    private sqlite3_stmt Prepare(string sql, ReadOnlySpan<object?> arguments)
    {
        var rc = raw.sqlite3_prepare_v2(_handle, sql, out var statement);
        if (rc != raw.SQLITE_OK)
            throw Failure(rc);
        for (var i = 0; i < arguments.Length; i++)
        {
            rc = arguments[i] switch
            {
                null => raw.sqlite3_bind_null(statement, i + 1),
                string text => raw.sqlite3_bind_text(statement, i + 1, text),
                long number => raw.sqlite3_bind_int64(statement, i + 1, number),
                int number => raw.sqlite3_bind_int64(statement, i + 1, number),
                bool flag => raw.sqlite3_bind_int64(statement, i + 1, flag ? 1 : 0),
                var other => throw new ArgumentException($"Values of type {other.GetType().Name} cannot be stored.", nameof(arguments)),
            };
            if (rc != raw.SQLITE_OK)
                throw Failure(rc);
        }

        return statement;
    }

    private Exception Failure(int rc)
    {
        var message = $"'{_path}': {raw.sqlite3_errmsg(_handle).utf8_to_string()} (SQLite {rc}).";
        return (rc & 0xff) switch
        {
            raw.SQLITE_NOTADB or raw.SQLITE_CORRUPT => new InputException(
                $"{message} Not a file of votes, or damaged; choose another one with --votes."
            ),
            raw.SQLITE_CONSTRAINT => new InvalidOperationException(message),
            raw.SQLITE_ERROR or raw.SQLITE_MISUSE or raw.SQLITE_RANGE => new InvalidOperationException(message),
            _ => new EnvironmentException($"{message} Check for a full disk, missing permissions, or another program that holds the file."),
        };
    }
}

/// <summary>Current row of a query.</summary>
internal readonly struct Row(sqlite3_stmt statement)
{
    /// <summary>Text column.</summary>
    public string Text(int column) => TextOrNull(column) ?? throw new InvalidOperationException($"Column {column} is null.");

    /// <summary>Text column, or null.</summary>
    public string? TextOrNull(int column) => IsNull(column) ? null : raw.sqlite3_column_text(statement, column).utf8_to_string();

    /// <summary>Integer column.</summary>
    public long Number(int column) => raw.sqlite3_column_int64(statement, column);

    /// <summary>Integer column, or null.</summary>
    public long? NumberOrNull(int column) => IsNull(column) ? null : Number(column);

    private bool IsNull(int column) => raw.sqlite3_column_type(statement, column) == raw.SQLITE_NULL;
}
