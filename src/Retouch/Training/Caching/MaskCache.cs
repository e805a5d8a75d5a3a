using System.Text.Json.Nodes;
using Retouch.Data;
using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Training.Caching;

/// <summary>
/// Masks beside cached latents, at the size of the pictures with a byte per pixel: terms on any grid weigh their values as without a
/// cache. The masks of replaced pictures are in memory only.
/// </summary>
/// <param name="source">Pictures with masks.</param>
/// <param name="framing">Resize and crop options.</param>
/// <param name="store">On-disk store of the masks; null to keep them in memory. Disposed with this object.</param>
internal sealed class MaskCache(IPictureSource source, Framing framing, RowStore? store) : IDisposable
{
    private const string Mask = "mask";

    // Increment when reading or cropping of masks changes.
    private const int Revision = 1;

    private readonly Dictionary<int, byte[]?> _memory = [];

    // The size of the picture determines the crop.
    private readonly string[] _rows =
    [
        .. Enumerable.Range(0, source.Count).Select(k => $"{source[k].Id}|{source.Stamp(k)}|{source.MaskStamp(k)}"),
    ];

    /// <summary>Cache key of a store: everything its rows depend on besides the pictures and masks.</summary>
    /// <param name="framing">Crop settings.</param>
    public static JsonObject Key(Framing framing)
    {
        var key = LatentEncoding.Key("", framing);
        key.Remove("autoencoder");
        (key["kind"], key["revision"]) = ("masks", Revision);
        return key;
    }

    /// <summary>Whether the mask of a sample has to be read.</summary>
    public bool Lacks(int index) => source.HasMask(index) && store?.Has(_rows[index]) != true && !_memory.ContainsKey(index);

    /// <summary>Adds the mask of a sample, or of its replacement.</summary>
    /// <param name="index">Index of the sample.</param>
    /// <param name="sample">The sample, or its replacement.</param>
    /// <param name="levels">Levels of its mask; null without one.</param>
    public void Add(int index, Sample sample, byte[]? levels)
    {
        if (Lacks(index) || sample.Id != source[index].Id)
            _memory[index] = levels;
    }

    /// <summary>Moves masks from memory to the store, if there is one.</summary>
    /// <param name="own">Samples that are not replaced.</param>
    /// <param name="writes">Whether this process writes the store, rather than another one.</param>
    public void Keep(IReadOnlyList<int> own, bool writes)
    {
        int[] chosen = [.. own.Where(k => _memory.GetValueOrDefault(k) is not null)];
        if (store is null || chosen.Length == 0)
            return;
        using var scope = TensorScope.Enter();
        byte[] levels = [.. chosen.SelectMany(k => _memory[k]!)];
        if (writes)
            store.Append(
                [.. chosen.Select(k => _rows[k])],
                new Dictionary<string, Tensor>(StringComparer.Ordinal)
                {
                    [Mask] = Tensor.From(levels, chosen.Length, framing.Height, framing.Width),
                }
            );
        foreach (var k in chosen)
            _memory.Remove(k);
    }

    /// <summary>Reads what another process has written to the store.</summary>
    public void Refresh() => store?.Refresh();

    /// <summary>Masks of samples, see <see cref="PictureTensors.OfLevels"/>.</summary>
    public Tensor? Of(IReadOnlyList<int> chosen) => PictureTensors.OfLevels([.. chosen.Select(LevelsOf)], framing.Width, framing.Height);

    /// <inheritdoc/>
    public void Dispose() => store?.Dispose();

    private byte[]? LevelsOf(int index)
    {
        if (_memory.TryGetValue(index, out var levels))
            return levels;
        if (store?.Has(_rows[index]) != true)
            return null;
        using var scope = TensorScope.Enter();
        return store.Read([_rows[index]], Mask).ToArray<byte>();
    }
}
