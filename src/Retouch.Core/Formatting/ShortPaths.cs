namespace Retouch.Core.Formatting;

/// <summary>Names of folders in tables and legends.</summary>
public static class ShortPaths
{
    /// <summary>
    /// For each path the last folders that no other path ends in, as few as possible; a path that occurs several times is numbered.
    /// </summary>
    /// <param name="paths">Paths with / as separator.</param>
    /// <returns>Unique names, in the order of the paths.</returns>
    public static IReadOnlyList<string> Of(IReadOnlyList<string> paths)
    {
        ArgumentNullException.ThrowIfNull(paths);
        string[][] parts = [.. paths.Select(static path => path.TrimEnd('/').Split('/'))];
        return [.. parts.Select((_, k) => NameOf(k))];

        string NameOf(int k)
        {
            for (var length = 1; length < parts[k].Length; length++)
            {
                var name = Last(k, length);
                if (name.Length > 0 && Enumerable.Range(0, parts.Length).All(other => other == k || Last(other, length) != name))
                    return name;
            }

            return paths.Count(path => path == paths[k]) > 1 ? $"{k + 1}. {paths[k]}" : paths[k];
        }

        string Last(int k, int length) => string.Join('/', parts[k].TakeLast(length));
    }
}
