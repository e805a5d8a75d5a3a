using System.Runtime.InteropServices;

namespace Retouch.Core.Io;

/// <summary>A second name for a file.</summary>
public static partial class HardLink
{
    /// <summary>Makes one where the system and the file system can: both names must lie on the same.</summary>
    /// <param name="existing">The file.</param>
    /// <param name="name">The second name; its folder exists.</param>
    /// <returns>Whether it was made.</returns>
    public static bool TryMake(string existing, string name)
    {
        if (!OperatingSystem.IsLinux() && !OperatingSystem.IsMacOS())
            return false;
        return Link(existing, name) == 0;
    }

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(string existing, string name);
}
