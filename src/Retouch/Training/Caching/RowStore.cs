using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Training.Caching;

/// <summary>
/// On-disk store of tensor rows by name, such as encoder outputs of pictures or prompts. A folder with <c>key.json</c>, the dependencies of
/// the rows, and safetensors files of some hundred rows each, with row names in the metadata. Files are written atomically, so an
/// interrupted store is valid but incomplete; rows are read through memory mapping.
/// </summary>
internal sealed class RowStore : IDisposable
{
    private const string KeyFile = "key.json";
    private const string RowsMember = "rows";

    private readonly string _folder;
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);
    private readonly List<SafetensorsFile> _files = [];
    private readonly Dictionary<string, (int File, int Row)> _places = new(StringComparer.Ordinal);

    private RowStore(string folder) => _folder = folder;

    /// <summary>Folder of the store.</summary>
    public string Folder => _folder;

    /// <summary>Number of rows.</summary>
    public int Count => _places.Count;

    /// <summary>Opens a store, or creates an empty one.</summary>
    /// <param name="folder">Folder of the store.</param>
    /// <param name="key">Dependencies of the rows besides their names.</param>
    /// <exception cref="InputException">The store has a different key; the message lists each difference.</exception>
    /// <exception cref="EnvironmentException">The folder is not writable.</exception>
    public static RowStore Open(string folder, JsonObject key)
    {
        var path = Path.Combine(folder, KeyFile);
        if (File.Exists(path))
            Compare(path, key);
        else if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
            throw new InputException($"'{folder}' is not a cache: it is not empty and has no {KeyFile}. Choose another folder.");
        else
            AtomicFile.WriteText(path, key.ToJsonString(JsonStyles.State));
        var store = new RowStore(folder);
        try
        {
            store.Refresh();
            return store;
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <summary>Reads the files that another process has added.</summary>
    /// <exception cref="InputException">A file is not one of a cache.</exception>
    public void Refresh()
    {
        foreach (var file in Directory.EnumerateFiles(_folder, "*.safetensors").Order(StringComparer.Ordinal))
        {
            if (!_known.Contains(file))
                Add(file);
        }
    }

    /// <summary>Whether rows have a tensor of this name.</summary>
    public bool Holds(string tensor) => _files.Count > 0 && _files[0].Entries.ContainsKey(tensor);

    /// <summary>Whether a row of this name exists.</summary>
    public bool Has(string name) => _places.ContainsKey(name);

    /// <summary>Appends rows as a new file.</summary>
    /// <param name="names">One new name per row.</param>
    /// <param name="tensors">Tensors [rows, …] by name.</param>
    public void Append(IReadOnlyList<string> names, IReadOnlyDictionary<string, Tensor> tensors)
    {
        var file = Path.Combine(_folder, $"rows-{_files.Count:D6}.safetensors");
        SafetensorsWriter.Write(
            file,
            tensors,
            new Dictionary<string, string>(StringComparer.Ordinal) { [RowsMember] = JsonSerializer.Serialize(names) }
        );
        Add(file);
    }

    /// <summary>Copies rows in the requested order into the current scope.</summary>
    /// <param name="names">Names of existing rows.</param>
    /// <param name="tensor">Name of the tensor.</param>
    /// <returns>[names, …].</returns>
    /// <exception cref="InputException">A row or the tensor does not exist.</exception>
    public Tensor Read(IReadOnlyList<string> names, string tensor)
    {
        using var scope = TensorScope.Enter();
        var whole = new Dictionary<int, Tensor>();
        var rows = new Tensor[names.Count];
        for (var k = 0; k < rows.Length; k++)
        {
            if (!_places.TryGetValue(names[k], out var place))
                throw new InputException($"The cache '{_folder}' has no row '{names[k]}'. Delete the folder to rebuild the cache.");
            if (!whole.TryGetValue(place.File, out var all))
                whole[place.File] = all = _files[place.File].Read(tensor);
            rows[k] = all.Narrow(0, place.Row, 1);
        }

        return scope.Keep(Ops.Cat(rows));
    }

    /// <inheritdoc/>
    public void Dispose() => _files.ForEach(static f => f.Dispose());

    private static void Compare(string path, JsonObject key)
    {
        var found = JsonFile.Object(path, "Delete the cache folder to rebuild it.");
        string Text(JsonNode? node) => node?.ToJsonString() ?? "nothing";
        // Stores without a revision predate revisions and count as the first.
        if (key["revision"] is not null)
            found.TryAdd("revision", 1);
        var names = key.Select(static p => p.Key).Union(found.Select(static p => p.Key), StringComparer.Ordinal);
        var differences = names
            .Where(n => Text(key[n]) != Text(found[n]))
            .Select(n => $"{n} was {Text(found[n])} and is {Text(key[n])}")
            .ToList();
        if (differences.Count > 0)
            throw new InputException(
                $"The cache '{Path.GetDirectoryName(path)}' is stale, it was made with different inputs: "
                    + $"{string.Join("; ", differences)}. Give another folder, or delete this one to rebuild the cache."
            );
    }

    private void Add(string file)
    {
        var opened = SafetensorsFile.Open(file);
        _files.Add(opened);
        _known.Add(file);
        string[]? names = null;
        try
        {
            names = opened.Metadata.TryGetValue(RowsMember, out var text) ? JsonSerializer.Deserialize<string[]>(text) : null;
        }
        catch (JsonException)
        {
            // Reported below.
        }

        if (names is null || opened.Entries.Values.Any(e => e.Shape.Length == 0 || e.Shape[0] != names.Length))
            throw new InputException($"'{file}' is not a cache file. Delete the folder to rebuild the cache.");
        for (var row = 0; row < names.Length; row++)
            _places[names[row]] = (_files.Count - 1, row);
    }
}
