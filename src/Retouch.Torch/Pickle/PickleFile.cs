using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Torch.Io;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Pickle;

/// <summary>
/// A checkpoint that PyTorch pickled (<c>.bin</c>, <c>.pth</c>, <c>.pt</c>, <c>.ckpt</c>), as an archive (PyTorch 1.6 and later) or as the
/// stream before it. Only tensors are read, nothing is ever run, and the file is mapped into memory: a tensor that is read takes no memory
/// of its own until something writes to it.
/// </summary>
public sealed class PickleFile : ITensorFile
{
    private const int MostPickled = 1 << 30;
    private static readonly BigInteger StreamMagic = BigInteger.Parse(
        "119547037146038801333356",
        System.Globalization.CultureInfo.InvariantCulture
    );

    /// <summary>Names under which training programs keep the weights beside other things.</summary>
    private static readonly string[] Wrappers = ["state_dict", "model_state_dict", "model", "module", "params_ema", "params"];

    private readonly MappedFile _file;
    private readonly Dictionary<string, PickleTensor> _tensors;
    private readonly Dictionary<string, (long Offset, long Length)> _storages;
    private bool _disposed;

    private PickleFile(
        string path,
        MappedFile file,
        Dictionary<string, PickleTensor> tensors,
        Dictionary<string, (long Offset, long Length)> storages
    )
    {
        FilePath = path;
        _file = file;
        _tensors = tensors;
        _storages = storages;
    }

    /// <inheritdoc/>
    public string FilePath { get; }

    /// <inheritdoc/>
    public IEnumerable<string> Names => _tensors.Keys;

    /// <summary>
    /// Opens a file and reads what it says of its tensors. Weights that lie under <c>state_dict</c> or the like are found there.
    /// </summary>
    /// <exception cref="InputException">The file is missing, broken, hostile, or holds more than tensors.</exception>
    public static PickleFile Open(string path)
    {
        MappedFile? file = null;
        try
        {
            if (new FileInfo(path) is { Exists: true, Length: < 16 })
                throw new PickleException("it is too short");
            file = new MappedFile(path);
            var (root, storages) = file.Slice(0, 4).SequenceEqual("PK\x03\x04"u8) ? ReadArchive(file, path) : ReadStream(file, path);
            var tensors = Weights(root);
            foreach (var (name, tensor) in tensors)
                CheckStorage(name, tensor, storages);
            return new PickleFile(path, file, tensors, storages);
        }
        catch (Exception e)
        {
            file?.Release();
            throw e switch
            {
                PickleException => new InputException(
                    $"'{path}' is no usable checkpoint of PyTorch: {e.Message}. Download or export it again.",
                    e
                ),
                IOException or UnauthorizedAccessException => new InputException($"Cannot read '{path}': {Reasons.Of(e)}.", e),
                _ => e,
            };
        }
    }

    /// <inheritdoc/>
    public long[] ShapeOf(string name) => Find(name).Shape;

    /// <inheritdoc/>
    public DType DTypeOf(string name) => Find(name).DType;

    /// <summary>
    /// The tensor under a key, over the mapped file where it is contiguous: read-only memory then, so clone what is to be written to.
    /// </summary>
    /// <exception cref="InputException">There is no such key.</exception>
    public Tensor Read(string name) => Read(name, owned: false);

    /// <inheritdoc/>
    public Tensor ReadOwned(string name) => Read(name, owned: true);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _file.Release();
    }

    private Tensor Read(string name, bool owned)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var tensor = Find(name);
        if (tensor.Count == 0)
            return Ops.Empty(tensor.Shape, dtype: tensor.DType);
        var start = _storages[tensor.Storage.Key].Offset + (tensor.Offset * tensor.DType.Size());
        if (tensor.IsContiguous)
            return owned ? _file.Copy(start, tensor.Shape, tensor.DType) : _file.Over(start, tensor.Shape, tensor.DType);
        using var scope = TensorScope.Enter();
        var reach = 1 + tensor.Shape.Zip(tensor.Strides).Sum(static p => (p.First - 1) * p.Second);
        return scope.Keep(
            _file.Over(start, [reach], tensor.DType).AsStrided(tensor.Shape, tensor.Strides, 0).Clone(MemoryFormat.Contiguous)
        );
    }

    private PickleTensor Find(string name) =>
        _tensors.TryGetValue(name, out var tensor)
            ? tensor
            : throw new InputException($"'{FilePath}' has no tensor '{name}'. It holds {_tensors.Count} others.");

    private static (object? Root, Dictionary<string, (long Offset, long Length)> Storages) ReadArchive(MappedFile file, string path)
    {
        var entries = ZipDirectory.Read(file);
        const string Program = "/data.pkl";
        var name =
            entries.Keys.FirstOrDefault(static n =>
                n.EndsWith(Program, StringComparison.Ordinal) && n.IndexOf('/', StringComparison.Ordinal) == n.Length - Program.Length
            ) ?? throw new PickleException("it is an archive without a data.pkl");
        var root = name[..^Program.Length];
        if (entries.ContainsKey($"{root}/constants.pkl"))
            throw new PickleException("it is a TorchScript program rather than weights");
        ReadOnlySpan<byte> Whole(string entry) =>
            entries[entry] is { } place && place.Length <= MostPickled
                ? file.Slice(place.Offset, (int)place.Length)
                : throw new PickleException($"'{entry}' is compressed or too long");
        if (entries.ContainsKey($"{root}/byteorder") && !Whole($"{root}/byteorder").StartsWith("little"u8))
            throw new PickleException("it was written on a big-endian machine");
        var storages = new Dictionary<string, (long, long)>(StringComparer.Ordinal);
        var prefix = $"{root}/data/";
        foreach (var (entry, place) in entries.Where(e => e.Key.StartsWith(prefix, StringComparison.Ordinal)))
            storages[entry[prefix.Length..]] = place ?? throw new PickleException($"'{entry}' is compressed");
        return (Unpickler.Read(Whole(name), path, out _), storages);
    }

    /// <summary>
    /// Magic number, version, facts about the machine, the object, the storages' keys, the storages: pickles first, then a length and
    /// numbers each.
    /// </summary>
    private static (object? Root, Dictionary<string, (long Offset, long Length)> Storages) ReadStream(MappedFile file, string path)
    {
        var position = 0;
        object? Next()
        {
            var value = Unpickler.Read(file.Slice(position, (int)Math.Min(MostPickled, file.Length - position)), path, out var length);
            position += length;
            return value;
        }

        // A pickle starts with its protocol; anything else is not looked at further.
        const byte Protocol = 0x80;
        if (file.Slice(0, 1)[0] != Protocol)
            throw new PickleException(
                IsTar(file)
                    ? "it is the tar of a PyTorch before 0.2, which is not read; save it again with a newer one"
                    : "it is neither an archive nor a stream of PyTorch"
            );
        if (Next() is not BigInteger magic || magic != StreamMagic)
            throw new PickleException("it does not start with the number that PyTorch's streams start with");
        if (Next() is not long and not 1001L)
            throw new PickleException("it has an unknown version");
        if (Next() is PickleDict facts && facts.Find("little_endian") is false)
            throw new PickleException("it was written on a big-endian machine");
        var root = Next();
        var known = new Dictionary<string, DType?>(StringComparer.Ordinal);
        foreach (var tensor in Weights(root).Values)
            known[tensor.Storage.Key] = tensor.Storage.DType;
        var keys = Next() as List<object?> ?? throw new PickleException("it lists no storages");
        var storages = new Dictionary<string, (long, long)>(StringComparer.Ordinal);
        var at = (long)position;
        foreach (var key in keys)
        {
            if (key is not string name || !known.TryGetValue(name, out var dtype))
                throw new PickleException("it has storages that none of its tensors uses");
            if (file.Length - at < sizeof(long))
                throw new PickleException("it ends before its storages do; the file is cut short");
            var count = BinaryPrimitives.ReadInt64LittleEndian(file.Slice(at, sizeof(long)));
            at += sizeof(long);
            if (count < 0 || count > (file.Length - at) / (dtype?.Size() ?? 1))
                throw new PickleException("it ends before its storages do; the file is cut short");
            var length = count * (dtype?.Size() ?? 1);
            storages[name] = (at, length);
            at += length;
        }

        return (root, storages);
    }

    private static bool IsTar(MappedFile file) => file.Length > 512 && Encoding.Latin1.GetString(file.Slice(257, 5)) == "ustar";

    private static Dictionary<string, PickleTensor> Weights(object? root)
    {
        if (root is not PickleDict dictionary)
            throw new PickleException("it holds no dictionary of tensors");
        var found = Tensors(dictionary);
        foreach (var wrapper in Wrappers.TakeWhile(_ => found.Count == 0))
        {
            if (dictionary.Find(wrapper) is PickleDict inner)
                found = Tensors(inner);
        }

        if (found.Count > 0)
            return found;
        var names = dictionary
            .Items.Select(static p => p.Key)
            .OfType<string>()
            .Take(10)
            .Select(static n => n.Length > 60 ? n[..60] + "…" : n);
        throw new PickleException($"it holds no tensors by name, but {string.Join(", ", names.DefaultIfEmpty("nothing"))}");
    }

    private static Dictionary<string, PickleTensor> Tensors(PickleDict dictionary)
    {
        var tensors = new Dictionary<string, PickleTensor>(StringComparer.Ordinal);
        foreach (var (key, value) in dictionary.Items)
        {
            if (key is string name && value is PickleTensor tensor)
                tensors[name] = tensor;
        }

        return tensors;
    }

    private static void CheckStorage(string name, PickleTensor tensor, Dictionary<string, (long Offset, long Length)> storages)
    {
        var storage = tensor.Storage;
        if (!storages.TryGetValue(storage.Key, out var place))
            throw new PickleException($"the numbers of '{name}' (storage {storage.Key}) are not in it");
        if ((Int128)storage.RootCount * (storage.DType?.Size() ?? 1) > place.Length)
            throw new PickleException($"the numbers of '{name}' claim {storage.RootCount} elements of {place.Length} bytes");
    }
}
