using Retouch.Torch.Nn;

namespace Retouch.Pipelines.SingleFile;

/// <summary>Maps modules of a diffusers component to the original layout; the longest matching prefix of a key applies.</summary>
internal sealed class KeyPrefixes
{
    private readonly Dictionary<string, (string Original, Func<string, TensorOrigin> Rename)> _modules = new(StringComparer.Ordinal);

    /// <summary>Adds a module.</summary>
    /// <param name="module">Path in diffusers.</param>
    /// <param name="original">Path in the original layout.</param>
    /// <param name="rest">Maps the rest of the key; unchanged by default.</param>
    public void Add(string module, string original, Func<string, TensorOrigin>? rest = null) =>
        _modules.Add(module, (original, rest ?? (static key => new TensorOrigin(key))));

    /// <summary>Origin of a key.</summary>
    /// <exception cref="ArgumentException">No module contains the key.</exception>
    public TensorOrigin Find(string key) =>
        TryFind(key) ?? throw new ArgumentException($"'{key}' has no counterpart in the original layout.", nameof(key));

    /// <summary>Origin of a key, or null if no module contains it.</summary>
    public TensorOrigin? TryFind(string key)
    {
        for (var end = key.Length; (end = key.LastIndexOf('.', end - 1)) > 0; )
        {
            if (!_modules.TryGetValue(key[..end], out var module))
                continue;
            var rest = module.Rename(key[(end + 1)..]);
            return rest with { Key = $"{module.Original}.{rest.Key}" };
        }

        return null;
    }

    /// <summary>Renames the first part of the remaining key.</summary>
    public static Func<string, TensorOrigin> Renaming(params (string Diffusers, string Original)[] names) =>
        rest =>
        {
            foreach (var (diffusers, original) in names)
            {
                if (rest.StartsWith(diffusers + ".", StringComparison.Ordinal))
                    return new TensorOrigin(original + rest[diffusers.Length..]);
            }

            return new TensorOrigin(rest);
        };
}
