using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Torch.Io;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Pickle;

/// <summary>
/// A pickled PyTorch checkpoint (<c>.bin</c>, <c>.pth</c>, <c>.pt</c>, <c>.ckpt</c>), in the zip format (PyTorch 1.6 and later) or the
/// legacy format. Only tensors are read and no code is executed. The file is memory-mapped: tensors read from it use no additional
/// memory until they are written to.
/// </summary>
public sealed class PickleFile : ITensorFile
{
    private const int MostPickled = 1 << 30;
    private static readonly BigInteger StreamMagic = BigInteger.Parse(
        "119547037146038801333356",
        System.Globalization.CultureInfo.InvariantCulture
    );

    /// <summary>Keys under which training programs store the weights.</summary>
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
    /// Opens a file and reads its tensor metadata. Weights under <c>state_dict</c> or similar keys are found.
    /// </summary>
    /// <exception cref="InputException">The file is missing, corrupt or hostile, or has objects other than tensors.</exception>
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
                    $"'{path}' is not a valid PyTorch checkpoint: {e.Message}. Download or export it again.",
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
    /// Tensor under a key, over the mapped file if it is contiguous: read-only memory, so clone it before writing.
    /// </summary>
    /// <exception cref="InputException">The key does not exist.</exception>
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
            : throw new InputException($"'{FilePath}' has no tensor '{name}'. It has {_tensors.Count} others.");

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
    /// Legacy format: magic number, version, machine facts, the object and the storage keys as pickles, then the length and elements of
    /// each storage.
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

        // Every pickle starts with the protocol opcode; other files are not parsed further.
        const byte Protocol = 0x80;
        if (file.Slice(0, 1)[0] != Protocol)
            throw new PickleException(
                IsTar(file)
                    ? "it has the tar format of PyTorch before 0.2, which is not supported; save it again with a newer version"
                    : "it is neither a zip archive nor a legacy PyTorch file"
            );
        if (Next() is not BigInteger magic || magic != StreamMagic)
            throw new PickleException("it does not start with PyTorch's magic number");
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
                throw new PickleException("it has storages that no tensor uses");
            if (file.Length - at < sizeof(long))
                throw new PickleException("it ends within its storages; the file is truncated");
            var count = BinaryPrimitives.ReadInt64LittleEndian(file.Slice(at, sizeof(long)));
            at += sizeof(long);
            if (count < 0 || count > (file.Length - at) / (dtype?.Size() ?? 1))
                throw new PickleException("it ends within its storages; the file is truncated");
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
            throw new PickleException("it contains no dictionary of tensors");
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
        throw new PickleException($"it contains no named tensors, but {string.Join(", ", names.DefaultIfEmpty("nothing"))}");
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
            throw new PickleException($"the elements of '{name}' (storage {storage.Key}) are missing");
        if ((Int128)storage.RootCount * (storage.DType?.Size() ?? 1) > place.Length)
            throw new PickleException($"the storage of '{name}' claims {storage.RootCount} elements in {place.Length} bytes");
    }
}
