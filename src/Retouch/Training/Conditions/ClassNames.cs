using Retouch.Core.Errors;

namespace Retouch.Training.Conditions;

/// <summary>
/// Looks up classes by the model's class names: exact match, else ignoring case, spaces, hyphens and underscores, else by one of the
/// comma-separated synonyms of ImageNet names (<c>tench, Tinca tinca</c>), as in diffusers' DiTPipeline.
/// </summary>
internal sealed class ClassNames
{
    private readonly Dictionary<string, int>[] _stages;
    private readonly HashSet<string> _ambiguous;

    /// <param name="labels">Class names of the model by index.</param>
    public ClassNames(IReadOnlyDictionary<int, string> labels)
    {
        _ambiguous = new(StringComparer.Ordinal);
        var whole = labels.Select(static l => (l.Value, l.Key)).ToArray();
        var parts = labels.SelectMany(static l => l.Value.Split(',').Select(p => (Tidy(p), l.Key))).Distinct().ToArray();
        _stages = [Unique(whole), Unique([.. whole.Select(static p => (Tidy(p.Value), p.Key))]), Unique(parts)];
    }

    /// <summary>Class index of a name, or null.</summary>
    /// <exception cref="InputException">The name matches several classes.</exception>
    public int? Find(string name)
    {
        if (_stages[0].TryGetValue(name, out var exact))
            return exact;
        var tidy = Tidy(name);
        foreach (var stage in _stages[1..])
        {
            if (stage.TryGetValue(tidy, out var found))
                return found;
        }

        return _ambiguous.Contains(tidy)
            ? throw new InputException(
                $"The data's class '{name}' matches several classes of the model; use the class index or the full name."
            )
            : null;
    }

    private static string Tidy(string name) =>
        string.Join(' ', name.Split([' ', '_', '-', '\t'], StringSplitOptions.RemoveEmptyEntries)).ToLowerInvariant();

    private Dictionary<string, int> Unique((string Name, int Class)[] pairs)
    {
        var found = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var group in pairs.GroupBy(static p => p.Name, StringComparer.Ordinal))
        {
            if (group.Count() == 1)
                found.Add(group.Key, group.First().Class);
            else
                _ambiguous.Add(group.Key);
        }

        return found;
    }
}
