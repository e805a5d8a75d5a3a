using System.Runtime.InteropServices;
using SQLitePCL;

namespace Retouch.Arena.Votes;

/// <summary>
/// Loads SQLite so that it calls itself. libvips loads plugins into the scope of the whole process, one of which brings the system's
/// SQLite: the functions of the one that comes with the program would then be bound to those of the other, and die of it. Whatever is
/// loaded first, binding deeply and at once keeps the two apart.
/// </summary>
internal static partial class SqliteLibrary
{
    private const int BindNow = 0x2;
    private const int BindDeeply = 0x8;

    private static readonly Lazy<bool> Ready = new(Load);

    /// <summary>Makes SQLite usable in this process.</summary>
    public static void EnsureLoaded() => _ = Ready.Value;

    private static bool Load()
    {
        if (OperatingSystem.IsLinux())
        {
            // The runtime finds the same file later and gets the library that is loaded already.
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

        Batteries_V2.Init();
        return true;
    }

    [LibraryImport("libc", EntryPoint = "dlopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint Open(string path, int flags);
}
