using Retouch.Core.Errors;

namespace Retouch.Training.Conditions;

/// <summary>
/// Finds classes by the names that a model gives them: as they are, else without regard to case and to blanks, hyphens and underscores,
/// else by one of the synonyms that ImageNet's names list behind commas (<c>tench, Tinca tinca</c>), as diffusers' DiTPipeline does.
/// </summary>
internal sealed class ClassNames
{
    private readonly Dictionary<string, int>[] _stages;
    private readonly HashSet<string> _ambiguous;

    /// <param name="labels">The model's names by number.</param>
    public ClassNames(IReadOnlyDictionary<int, string> labels)
    {
        _ambiguous = new(StringComparer.Ordinal);
        var whole = labels.Select(static l => (l.Value, l.Key)).ToArray();
        var parts = labels.SelectMany(static l => l.Value.Split(',').Select(p => (Tidy(p), l.Key))).Distinct().ToArray();
        _stages = [Unique(whole), Unique([.. whole.Select(static p => (Tidy(p.Value), p.Key))]), Unique(parts)];
    }

    /// <summary>The class of a name; null where the model has no such class.</summary>
    /// <exception cref="InputException">Several classes have it.</exception>
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
                $"The data's class '{name}' may be several of the model's; name it by the number of the class, or by its whole name."
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
