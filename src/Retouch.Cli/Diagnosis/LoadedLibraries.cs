namespace Retouch.Cli.Diagnosis;

/// <summary>Shared libraries of this process, as listed by Linux.</summary>
internal static class LoadedLibraries
{
    private const string Maps = "/proc/self/maps";

    /// <summary>
    /// Path of the first loaded file whose path below its folder of libraries contains <paramref name="part"/>; null without one.
    /// </summary>
    public static string? Find(string part)
    {
        if (!File.Exists(Maps))
            return null;
        return File.ReadLines(Maps)
            .Select(static line => line.IndexOf('/', StringComparison.Ordinal) is var at and >= 0 ? line[at..] : "")
            .FirstOrDefault(path =>
                path.Contains(".so", StringComparison.Ordinal)
                && string.Join('/', path.Split('/')[^2..]).Contains(part, StringComparison.Ordinal)
            );
    }
}
