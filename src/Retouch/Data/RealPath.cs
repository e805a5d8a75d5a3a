namespace Retouch.Data;

/// <summary>Resolution of links in paths.</summary>
internal static class RealPath
{
    /// <summary>
    /// Path of an existing folder with all links resolved; the unresolved full path if a link cannot be resolved.
    /// </summary>
    public static string Of(string path)
    {
        var full = Path.GetFullPath(path);
        var resolved = Path.GetPathRoot(full)!;
        foreach (var part in full[resolved.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            resolved = Path.Combine(resolved, part);
            try
            {
                // The target's own path can contain links.
                if (Directory.ResolveLinkTarget(resolved, returnFinalTarget: true) is { } target)
                    resolved = Of(target.FullName);
            }
            catch (IOException)
            {
                return full;
            }
        }

        return resolved;
    }
}
