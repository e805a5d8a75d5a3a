using System.Security.Cryptography;
using Retouch.Data;

namespace Retouch.Training.HeldOut;

/// <summary>Finds samples that share a picture file with held-out samples: the same file, or a file of the same content.</summary>
internal sealed class SameFiles
{
    private readonly HashSet<string> _paths = new(StringComparer.Ordinal);
    private readonly Dictionary<long, List<string>> _byLength = [];
    private readonly Dictionary<string, string> _hashes = new(StringComparer.Ordinal);

    /// <param name="heldOut">Held-out samples.</param>
    public SameFiles(IPictureSource heldOut)
    {
        foreach (var path in Enumerable.Range(0, heldOut.Count).SelectMany(heldOut.FilesOf))
        {
            if (_paths.Add(path) && new FileInfo(path) is { Exists: true } file)
            {
                if (!_byLength.TryGetValue(file.Length, out var paths))
                    _byLength.Add(file.Length, paths = []);
                paths.Add(path);
            }
        }
    }

    /// <summary>Indices of the samples of a source that share a file; none for sources without files.</summary>
    public IReadOnlyList<int> In(IPictureSource source) =>
        _paths.Count == 0 ? [] : [.. Enumerable.Range(0, source.Count).Where(k => source.FilesOf(k).Any(IsShared))];

    private bool IsShared(string path)
    {
        if (_paths.Contains(path))
            return true;
        // Only files of equal length are read.
        return new FileInfo(path) is { Exists: true } file
            && _byLength.TryGetValue(file.Length, out var candidates)
            && candidates.Any(c => HashOf(c) == HashOf(path));
    }

    private string HashOf(string path)
    {
        if (_hashes.TryGetValue(path, out var known))
            return known;
        using var stream = File.OpenRead(path);
        return _hashes[path] = Convert.ToHexString(SHA256.HashData(stream));
    }
}
