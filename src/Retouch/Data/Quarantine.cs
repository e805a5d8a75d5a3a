using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Data;

/// <summary>A picture that cannot be used.</summary>
/// <param name="Index">Its index in the source.</param>
/// <param name="File">Its name in the source.</param>
/// <param name="Reason">Why.</param>
public sealed record QuarantinedPicture(int Index, string File, string Reason);

/// <summary>
/// The pictures of a run that cannot be used, named and counted. Their files stay as they are. Beyond a share of the source, reading
/// stops: then something else is wrong than a few files. Safe to use from several threads.
/// </summary>
public sealed class Quarantine
{
    /// <summary>The default bound, a twentieth of the source.</summary>
    public const double DefaultMaxShare = 0.05;

    private static readonly JsonSerializerOptions Lines = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly int count;
    private readonly double maxShare;
    private readonly Lock guard = new();
    private readonly SortedDictionary<int, QuarantinedPicture> pictures = [];

    /// <param name="count">Samples in the source.</param>
    /// <param name="maxShare">The share of them that may be unusable, 0 to 1.</param>
    /// <exception cref="UsageException">The share is out of range.</exception>
    public Quarantine(int count, double maxShare = DefaultMaxShare)
    {
        if (maxShare is not (>= 0 and <= 1))
            throw new UsageException($"The share of unreadable pictures is {maxShare}; it lies between 0 and 1.");
        this.count = count;
        this.maxShare = maxShare;
    }

    /// <summary>What is known so far, by index.</summary>
    public IReadOnlyList<QuarantinedPicture> Pictures
    {
        get
        {
            lock (guard)
                return [.. pictures.Values];
        }
    }

    /// <summary>Whether a picture is known to be unusable.</summary>
    public bool Contains(int index)
    {
        lock (guard)
            return pictures.ContainsKey(index);
    }

    /// <summary>Notes a picture; a second time changes nothing.</summary>
    /// <exception cref="InputException">More than the set share is unusable now.</exception>
    public void Add(QuarantinedPicture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        lock (guard)
        {
            pictures.TryAdd(picture.Index, picture);
            if (pictures.Count > maxShare * count)
            {
                const int Shown = 20;
                var more = pictures.Count > Shown ? $"\n  … and {pictures.Count - Shown} more" : "";
                throw new InputException(
                    $"{pictures.Count} of {count} pictures cannot be used, more than the {maxShare * 100:0.##} % allowed:\n  "
                        + $"{string.Join("\n  ", pictures.Values.Take(Shown).Select(static p => p.Reason))}{more}\nClean the data "
                        + $"or raise the share."
                );
            }
        }
    }

    /// <summary>
    /// Writes a JSON line a picture, with <c>file</c> and <c>reason</c>, atomically; an empty file when there are none. What the file lists
    /// already stays: a run that is resumed in the middle of an epoch does not meet all of its pictures again.
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
            text.Append(JsonSerializer.Serialize(new { file = picture.File, reason = picture.Reason }, Lines)).Append('\n');
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
            return ""; // Somebody else's line; it stays.
        }
    }
}
