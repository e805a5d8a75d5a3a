using Retouch.Core.Errors;

namespace Retouch.Data.Pairs;

/// <summary>Preference pairs in any of their forms.</summary>
public static class PairSources
{
    private const string Table = ".parquet";

    /// <summary>Opens pairs: Parquet files (<see cref="ParquetPairs"/>) by extension, else a list (<see cref="PairFolder"/>).</summary>
    /// <param name="path">A list, a Parquet file or a pattern of such; or a folder with a <c>metadata.jsonl</c>, else with Parquet
    /// files.</param>
    /// <param name="conflicts">Handling of ties and contradictions.</param>
    /// <exception cref="InputException">The pairs do not exist or are malformed, or no pair remains.</exception>
    public static IPairSource Open(string path, PairConflicts conflicts = PairConflicts.Skip)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var isTable =
            path.EndsWith(Table, StringComparison.OrdinalIgnoreCase)
            || (
                Directory.Exists(path)
                && !File.Exists(Path.Combine(path, "metadata.jsonl"))
                && Directory.EnumerateFiles(path, "*" + Table, SearchOption.AllDirectories).Any()
            );
        return isTable ? ParquetPairs.Open(path, conflicts) : PairFolder.Open(path, conflicts);
    }
}
