using System.Security.Cryptography;
using Retouch.Arena.Material;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;

namespace Retouch.Arena.Site;

/// <summary>Variant of a picture.</summary>
internal enum Showing
{
    /// <summary>Unchanged.</summary>
    Plain,

    /// <summary>Unchanged under another name: the second side of an attention check.</summary>
    Copy,

    /// <summary>Degraded, for an attention check.</summary>
    Degraded,
}

/// <summary>
/// Pictures for browsers: re-encoded under opaque names, so that metadata, format and file name reveal no model. Only pictures listed at
/// the start are served, and only while their files are unchanged.
/// </summary>
internal sealed class PictureShelf
{
    private const long CacheBytes = 256L << 20;

    private readonly string _root;
    private readonly Secrets _secrets;
    private readonly Dictionary<string, (ModelPicture Picture, Showing Showing)> _byName = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private readonly Dictionary<string, byte[]> _cache = new(StringComparer.Ordinal);
    private readonly Queue<string> _order = new();
    private long _cached;

    public PictureShelf(StudyMaterial material, Secrets secrets)
    {
        (_root, _secrets) = (material.Root, secrets);
        foreach (var picture in material.Pictures)
        {
            foreach (var showing in Enum.GetValues<Showing>())
                _byName.Add(NameOf(picture.Model, picture.Item, showing), (picture, showing));
        }
    }

    /// <summary>Opaque name of a picture.</summary>
    public string NameOf(string model, string item, Showing showing) => _secrets.Derive("picture", showing.ToString(), model, item)[..22];

    /// <summary>PNG of an opaque name; null if unknown.</summary>
    /// <exception cref="InputException">The file has changed since the server started.</exception>
    public byte[]? Find(string name)
    {
        if (!_byName.TryGetValue(name, out var found))
            return null;
        lock (_gate)
        {
            if (_cache.TryGetValue(name, out var ready))
                return ready;
        }

        var picture = PictureFile.Decode(ReadUnchanged(found.Picture), found.Picture.Path).Picture;
        var png = PictureFile.Encode(found.Showing == Showing.Degraded ? DegradedPicture.Of(picture) : picture, PictureFormat.Png);
        Keep(name, png);
        return png;
    }

    private byte[] ReadUnchanged(ModelPicture picture)
    {
        var path = Path.Combine(_root, picture.Path);
        // Verified by content: a replaced file is not shown.
        if (!RealPath.Of(path).StartsWith(_root + Path.DirectorySeparatorChar, StringComparison.Ordinal) || !File.Exists(path))
            throw new InputException($"'{path}' is missing, or now leads out of the folder; restore it.");
        var content = File.ReadAllBytes(path);
        return Convert.ToHexStringLower(SHA256.HashData(content)) == picture.Sha256
            ? content
            : throw new InputException($"'{path}' has changed since the server started; restore the original.");
    }

    private void Keep(string name, byte[] png)
    {
        lock (_gate)
        {
            if (!_cache.TryAdd(name, png))
                return;
            _order.Enqueue(name);
            _cached += png.Length;
            while (_cached > CacheBytes && _order.TryDequeue(out var oldest) && _cache.Remove(oldest, out var dropped))
                _cached -= dropped.Length;
        }
    }
}
