using System.Runtime.InteropServices;

namespace Retouch.Arena.Votes;

/// <summary>
/// Loads the bundled SQLite with RTLD_DEEPBIND and RTLD_NOW. libvips loads plugins into the global scope, one of which loads the system's
/// SQLite: without deep binding, the bundled library would call functions of the other version and crash. Independent of the order of
/// loading.
/// </summary>
internal static partial class SqliteLibrary
{
    private const int BindNow = 0x2;
    private const int BindDeeply = 0x8;

    private static readonly Lazy<bool> Ready = new(Load);

    /// <summary>Loads SQLite into this process.</summary>
    public static void EnsureLoaded() => _ = Ready.Value;

    private static bool Load()
    {
        if (OperatingSystem.IsLinux())
        {
            // The runtime resolves the same file later and gets the loaded library.
            foreach (
                var folder in ((string?)AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") ?? "").Split(
                    Path.PathSeparator,
                    StringSplitOptions.RemoveEmptyEntries
                )
            )
            {
                var path = Path.Combine(folder, "libe_sqlite3.so");
                if (File.Exists(path) && Open(path, BindNow | BindDeeply) != 0)
                    break;
            }
        }

        return true;
    }

    [LibraryImport("libc", EntryPoint = "dlopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint Open(string path, int flags);
}
