using Retouch.Torch.Nn;

namespace Retouch.Torch.Safetensors;

/// <summary>The tensors of several files; of a key that several have, the first is read.</summary>
public sealed class JoinedTensors : ITensorFile
{
    private readonly List<SafetensorsFile> _files = [];
    private readonly Dictionary<string, SafetensorsFile> _places = new(StringComparer.Ordinal);

    private JoinedTensors(string path) => FilePath = path;

    /// <summary>Path of the first file.</summary>
    public string FilePath { get; }

    /// <inheritdoc/>
    public IEnumerable<string> Names => _places.Keys;

    /// <summary>Opens files.</summary>
    /// <param name="paths">At least one path.</param>
    /// <exception cref="Core.Errors.InputException">A file is missing, corrupt or hostile.</exception>
    public static JoinedTensors Open(IReadOnlyList<string> paths)
    {
        ArgumentNullException.ThrowIfNull(paths);
        ArgumentOutOfRangeException.ThrowIfZero(paths.Count);
        var joined = new JoinedTensors(paths[0]);
        try
        {
            foreach (var path in paths)
            {
                var file = SafetensorsFile.Open(path);
                joined._files.Add(file);
                foreach (var name in file.Names)
                    joined._places.TryAdd(name, file);
            }

            return joined;
        }
        catch
        {
            joined.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public long[] ShapeOf(string name) => Find(name).ShapeOf(name);

    /// <inheritdoc/>
    public DType DTypeOf(string name) => Find(name).DTypeOf(name);

    /// <inheritdoc/>
    public Tensor Read(string name) => Find(name).Read(name);

    /// <inheritdoc/>
    public Tensor ReadOwned(string name) => Find(name).ReadOwned(name);

    /// <inheritdoc/>
    public void Dispose() => _files.ForEach(static f => f.Dispose());

    private SafetensorsFile Find(string name) => _places.GetValueOrDefault(name) ?? _files[0];
}
