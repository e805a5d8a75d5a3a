namespace Retouch.Pipelines.SingleFile;

/// <summary>Modules of a diffusers component and where they stand in the original layout; the longest prefix of a key decides.</summary>
internal sealed class KeyPrefixes
{
    private readonly Dictionary<string, (string Original, Func<string, TensorOrigin> Rename)> _modules = new(StringComparer.Ordinal);

    /// <summary>Names a module.</summary>
    /// <param name="module">Its path in diffusers.</param>
    /// <param name="original">Its path in the original layout.</param>
    /// <param name="rest">What becomes of the rest of the key; nothing by default.</param>
    public void Add(string module, string original, Func<string, TensorOrigin>? rest = null) =>
        _modules.Add(module, (original, rest ?? (static key => new TensorOrigin(key))));

    /// <summary>The origin of a key.</summary>
    /// <exception cref="ArgumentException">No module contains it.</exception>
    public TensorOrigin Find(string key) =>
        TryFind(key) ?? throw new ArgumentException($"'{key}' has no counterpart in the original layout.", nameof(key));

    /// <summary>The origin of a key, or null where no module contains it.</summary>
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

    /// <summary>Replaces the first part of what is left of a key.</summary>
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
