using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;

namespace Retouch.Data;

/// <summary>An unusable picture.</summary>
/// <param name="Index">Index in the source.</param>
/// <param name="File">Name in the source.</param>
/// <param name="Reason">Error message.</param>
public sealed record QuarantinedPicture(int Index, string File, string Reason);

/// <summary>
/// Unusable pictures of a run. Their files are not modified. Reading stops above a fraction of the source, where the cause is more than
/// a few bad files. Thread-safe.
/// </summary>
public sealed class Quarantine
{
    /// <summary>Default maximum fraction of unusable pictures.</summary>
    public const double DefaultMaxShare = 0.05;

    private readonly int _count;
    private readonly double _maxShare;
    private readonly Lock _guard = new();
    private readonly SortedDictionary<int, QuarantinedPicture> _pictures = [];

    /// <param name="count">Number of samples in the source.</param>
    /// <param name="maxShare">Maximum fraction of unusable pictures, 0 to 1.</param>
    /// <exception cref="UsageException">The fraction is out of range.</exception>
    public Quarantine(int count, double maxShare = DefaultMaxShare)
    {
        if (maxShare is not (>= 0 and <= 1))
            throw new UsageException($"The allowed fraction of unusable pictures is {maxShare}; it must be from 0 to 1.");
        _count = count;
        _maxShare = maxShare;
    }

    /// <summary>Unusable pictures found so far, by index.</summary>
    public IReadOnlyList<QuarantinedPicture> Pictures
    {
        get
        {
            lock (_guard)
                return [.. _pictures.Values];
        }
    }

    /// <summary>Whether a picture is known to be unusable.</summary>
    public bool Contains(int index)
    {
        lock (_guard)
            return _pictures.ContainsKey(index);
    }

    /// <summary>Adds a picture; adding it again has no effect.</summary>
    /// <exception cref="InputException">The allowed fraction is exceeded.</exception>
    public void Add(QuarantinedPicture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        lock (_guard)
        {
            _pictures.TryAdd(picture.Index, picture);
            if (_pictures.Count > _maxShare * _count)
                throw new InputException(
                    $"{_pictures.Count} of {_count} pictures are unusable, more than the {_maxShare * 100:0.##} % allowed:\n  "
                        + $"{string.Join("\n  ", PictureFaults.Lines([.. _pictures.Values.Select(static p => (p.File, p.Reason))]))}\n"
                        + "Clean the data or raise the allowed fraction (data.maxBadShare)."
                );
        }
    }

    /// <summary>
    /// Writes one JSON line per picture with <c>file</c> and <c>reason</c>, atomically; an empty file if there are none. Existing
    /// entries are kept, since a run resumed within an epoch does not read all of its pictures again.
    /// </summary>
    public void Save(string path)
    {
        var text = new StringBuilder();
        var known = Pictures;
        var names = known.Select(static p => p.File).ToHashSet(StringComparer.Ordinal);
        foreach (var line in File.Exists(path) ? File.ReadLines(path) : [])
        {
            if (line.Length > 0 && !names.Contains(FileOf(line)))
                text.Append(line).Append('\n');
        }

        foreach (var picture in known)
            text.Append(JsonSerializer.Serialize(new { picture.File, picture.Reason }, JsonStyles.Dataset)).Append('\n');
        AtomicFile.WriteText(path, text.ToString());
    }

    private static string FileOf(string line)
    {
        try
        {
            return (string?)JsonNode.Parse(line)?["file"] ?? "";
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return ""; // A line in another format is kept.
        }
    }
}
