using System.Security.Cryptography;
using System.Text.Json;
using Retouch.Arena.Material;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Data;

namespace Retouch.Arena.Votes;

/// <summary>File of a study: pictures, raters, assignments, votes and their events.</summary>
internal sealed class StudyFile : IDisposable
{
    private const string Version = "1";
    private const int SecretBytes = 32;

    private const string Schema = """
        CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS items (item TEXT PRIMARY KEY, prompt TEXT) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS labels (item TEXT PRIMARY KEY, label TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS pictures (model TEXT NOT NULL, item TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
        PRIMARY KEY (model, item)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS raters (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, joined TEXT NOT NULL,
        excluded INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, rater INTEGER NOT NULL REFERENCES raters (id)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS assignments (
            id INTEGER PRIMARY KEY, rater INTEGER NOT NULL REFERENCES raters (id), position INTEGER NOT NULL, question TEXT NOT NULL,
            task TEXT NOT NULL,
            kind TEXT NOT NULL, item TEXT NOT NULL, first TEXT NOT NULL, second TEXT, swapped INTEGER NOT NULL, given TEXT NOT NULL,
            UNIQUE (rater, position));
        CREATE TABLE IF NOT EXISTS events (
            id INTEGER PRIMARY KEY, rater INTEGER NOT NULL REFERENCES raters (id), key TEXT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('vote', 'undo')),
            assignment INTEGER NOT NULL REFERENCES assignments (id), content TEXT NOT NULL, receipt TEXT NOT NULL, at TEXT NOT NULL,
            UNIQUE (rater, key));
        CREATE TABLE IF NOT EXISTS votes (
            assignment INTEGER PRIMARY KEY REFERENCES assignments (id), rater INTEGER NOT NULL, question TEXT NOT NULL, task TEXT NOT NULL,
            answer TEXT NOT NULL, left_flaws TEXT, right_flaws TEXT, milliseconds INTEGER,
            event INTEGER NOT NULL UNIQUE REFERENCES events (id), at TEXT NOT NULL,
            UNIQUE (rater, question, task));
        """;

    private readonly FileStream? _serving;

    private StudyFile(Database database, FileStream? serving, TimeProvider time)
    {
        (Database, _serving) = (database, serving);
        Raters = new(database, time);
        Assignments = new(database, time);
        Votes = new(database, Assignments, time);
    }

    /// <summary>The connection.</summary>
    public Database Database { get; }

    /// <summary>The raters.</summary>
    public RaterTable Raters { get; }

    /// <summary>The assignments.</summary>
    public AssignmentTable Assignments { get; }

    /// <summary>The votes.</summary>
    public VoteTable Votes { get; }

    /// <summary>Opens the file for serving and creates it if needed; exclusive to one server.</summary>
    /// <exception cref="EnvironmentException">Another server has opened the file, or it is not writable.</exception>
    public static StudyFile Serve(string path, TimeProvider time)
    {
        // The database first: it creates the folder.
        var database = Database.Open(path, create: true);
        FileStream? claim = null;
        try
        {
            claim = Claim(path + ".lock");
            foreach (var statement in Schema.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
                database.Execute(statement);
            database.Execute("INSERT OR IGNORE INTO facts VALUES ('version', $1)", Version);
            database.Execute(
                "INSERT OR IGNORE INTO facts VALUES ('secret', $1)",
                Convert.ToHexString(RandomNumberGenerator.GetBytes(SecretBytes))
            );
            return Checked(new(database, claim, time), path);
        }
        catch
        {
            claim?.Dispose();
            database.Dispose();
            throw;
        }
    }

    /// <summary>Opens the file for reading, also while a server runs.</summary>
    /// <exception cref="InputException">The file does not exist, or contains no study.</exception>
    public static StudyFile Read(string path, TimeProvider time)
    {
        var database = Database.Open(path, create: false);
        try
        {
            var file = new StudyFile(database, null, time);
            return file.Has("facts")
                ? Checked(file, path)
                : throw new InputException($"'{path}' contains no study; give the file of votes with --votes.");
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>Property of the study; null if not set.</summary>
    public string? Fact(string name) =>
        Database.Query("SELECT value FROM facts WHERE name = $1", static row => row.GetString(0), name).SingleOrDefault();

    /// <summary>Sets a property of the study.</summary>
    public void SetFact(string name, string value) =>
        Database.Execute("INSERT INTO facts VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value);

    /// <summary>Key for the study's cookies and picture names.</summary>
    public byte[] Secret() => Convert.FromHexString(Fact("secret")!);

    /// <summary>Items, in the order of their keys.</summary>
    public List<StudyItem> Items()
    {
        var labels = Has("labels")
            ? Database
                .Query("SELECT item, label FROM labels", static row => (Item: row.GetString(0), Label: LabelOf(row.GetString(1))))
                .ToDictionary(static l => l.Item, static l => l.Label, StringComparer.Ordinal)
            : [];
        return Database.Query(
            "SELECT item, prompt FROM items ORDER BY item",
            row => new StudyItem(row.GetString(0), row.TextOrNull(1), labels.GetValueOrDefault(row.GetString(0)))
        );
    }

    /// <summary>Pictures.</summary>
    public List<ModelPicture> Pictures() =>
        Database.Query(
            "SELECT model, item, path, sha256 FROM pictures",
            static row => new ModelPicture(row.GetString(0), row.GetString(1), row.GetString(2), row.GetString(3))
        );

    /// <summary>
    /// Adds the pictures of the folder to the study. Known pictures must be unchanged.
    /// </summary>
    /// <exception cref="InputException">A picture has changed since the study began.</exception>
    public void Register(StudyMaterial material) =>
        Database.Transaction(() =>
        {
            var known = Pictures().ToDictionary(static p => (p.Model, p.Item));
            foreach (var picture in material.Pictures)
            {
                if (known.TryGetValue((picture.Model, picture.Item), out var before) && before.Sha256 != picture.Sha256)
                    throw new InputException(
                        $"'{picture.Path}' in '{material.Root}' has changed since the study began, so that its votes may "
                            + $"be invalid. Restore the picture, or start another study with --votes."
                    );
                Database.Execute(
                    "INSERT INTO pictures VALUES ($1, $2, $3, $4) ON CONFLICT DO UPDATE SET path = excluded.path",
                    picture.Model,
                    picture.Item,
                    picture.Path,
                    picture.Sha256
                );
            }

            foreach (var item in material.Items)
                Database.Execute(
                    "INSERT INTO items VALUES ($1, $2) ON CONFLICT DO UPDATE SET prompt = COALESCE(excluded.prompt, prompt)",
                    item.Key,
                    item.Prompt
                );
            foreach (var item in material.Items.Where(static i => i.Label is not null))
                Database.Execute(
                    "INSERT INTO labels VALUES ($1, $2) ON CONFLICT DO UPDATE SET label = excluded.label",
                    item.Key,
                    JsonSerializer.Serialize(item.Label, JsonStyles.StateLine)
                );
            return true;
        });

    /// <inheritdoc/>
    public void Dispose()
    {
        Database.Dispose();
        _serving?.Dispose();
    }

    // Files of earlier versions lack tables.
    private bool Has(string table) => Database.Query("SELECT 1 FROM sqlite_master WHERE name = $1", static _ => true, table).Count > 0;

    private static object LabelOf(string json)
    {
        using var label = JsonDocument.Parse(json);
        return FolderMetadata.Label(label.RootElement, "the study's labels");
    }

    private static StudyFile Checked(StudyFile file, string path) =>
        file.Fact("version") is Version or null
            ? file
            : throw new InputException(
                $"'{path}' was written by a newer Retouch (file version {file.Fact("version")}, supported {Version}); use that release."
            );

    /// <summary>Lock file, released by the system when the process ends.</summary>
    private static FileStream Claim(string path)
    {
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EnvironmentException(
                $"Another 'retouch arena' serves this study ('{path}' is locked). Stop it, or choose another file with --votes.",
                e
            );
        }
    }
}
