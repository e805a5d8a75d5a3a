using Retouch.Arena.Votes;
using Retouch.Images;

namespace Retouch.Arena.Tests.Votes;

/// <summary>The bundled SQLite works next to that of libvips, in a process that has loaded libvips first.</summary>
public class SqliteLibraryTests
{
    [Fact]
    public void Sqlite_works_after_libvips_has_loaded_its_plugins()
    {
        Assert.Equal(48, PictureFile.Decode(PictureFile.Encode(TestStudy.Paint(0, 0), PictureFormat.Png), "a.png").Picture.Width);
        var folder = Directory.CreateTempSubdirectory("retouch-sqlite-");
        try
        {
            using var database = Database.Open(Path.Combine(folder.FullName, "a.sqlite"), create: true);
            database.Execute("CREATE TABLE t (a)");
            Assert.Equal(7, database.Insert("INSERT INTO t (rowid, a) VALUES (7, $1) RETURNING rowid", "x"));
            Assert.Equal(["x"], database.Query("SELECT a FROM t", static row => row.GetString(0)));
            // Settings for durability are active.
            Assert.Equal("wal", database.Query("PRAGMA journal_mode", static row => row.GetString(0))[0]);
            Assert.Equal(2, database.Query("PRAGMA synchronous", static row => row.GetInt64(0))[0]);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void A_failed_transaction_is_rolled_back()
    {
        var folder = Directory.CreateTempSubdirectory("retouch-sqlite-");
        try
        {
            using var database = Database.Open(Path.Combine(folder.FullName, "a.sqlite"), create: true);
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
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
