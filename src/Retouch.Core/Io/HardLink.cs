using System.Runtime.InteropServices;

namespace Retouch.Core.Io;

/// <summary>Hard links.</summary>
public static partial class HardLink
{
    /// <summary>Creates a hard link if the operating system and the file system support it; both paths must be on one file
    /// system.</summary>
    /// <param name="existing">Path of an existing file.</param>
    /// <param name="name">Path of the link; its folder must exist.</param>
    /// <returns>Whether the link was created.</returns>
    public static bool TryMake(string existing, string name)
    {
        if (!OperatingSystem.IsLinux() && !OperatingSystem.IsMacOS())
            return false;
        return Link(existing, name) == 0;
    }

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(string existing, string name);
}
