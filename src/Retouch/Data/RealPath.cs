namespace Retouch.Data;

/// <summary>Paths without links.</summary>
internal static class RealPath
{
    /// <summary>
    /// The path of an existing folder with every link along it resolved; where a link cannot be resolved, the path as it is.
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
                // The target itself may lie behind other links.
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
