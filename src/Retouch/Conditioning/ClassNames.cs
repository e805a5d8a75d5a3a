using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;

namespace Retouch.Conditioning;

/// <summary>
/// Looks up classes by the model's class names: exact match, else ignoring case, spaces, hyphens and underscores, else by one of the
/// comma-separated synonyms of ImageNet names (<c>tench, Tinca tinca</c>), as in diffusers' DiTPipeline.
/// </summary>
public sealed class ClassNames
{
    private const int Listed = 20;

    private readonly Dictionary<string, int>[] _stages;
    private readonly HashSet<string> _ambiguous;
    private readonly IReadOnlyDictionary<int, string> _labels;

    /// <param name="labels">Class names of the model by index.</param>
    public ClassNames(IReadOnlyDictionary<int, string> labels)
    {
        ArgumentNullException.ThrowIfNull(labels);
        _labels = labels;
        _ambiguous = new(StringComparer.Ordinal);
        var whole = labels.Select(static l => (l.Value, l.Key)).ToArray();
        var parts = labels.SelectMany(static l => l.Value.Split(',').Select(p => (Tidy(p), l.Key))).Distinct().ToArray();
        _stages = [Unique(whole), Unique([.. whole.Select(static p => (Tidy(p.Value), p.Key))]), Unique(parts)];
    }

    /// <summary>Class index of a name, or null.</summary>
    /// <exception cref="InputException">The name matches several classes.</exception>
    public int? Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
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
                $"The class name '{name}' matches several classes of the model; use the class index or the full name."
            )
            : null;
    }

    /// <summary>Classes given by name or index.</summary>
    /// <param name="given">Names or indices; a name takes precedence over an index.</param>
    /// <param name="count">Number of classes of the model.</param>
    /// <param name="option">Option with the classes, for messages.</param>
    /// <exception cref="UsageException">A class does not exist; the message has similar names, or lists the classes.</exception>
    public IReadOnlyList<int> Choose(IReadOnlyList<string> given, int count, string option)
    {
        ArgumentNullException.ThrowIfNull(given);
        return [.. given.Select(name => Find(name) ?? Numbered(name, count, option))];
    }

    /// <summary>
    /// Form in which names are compared: lower-case, with single spaces instead of spaces, hyphens and underscores.
    /// </summary>
    public static string Tidy(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return string.Join(' ', name.Split([' ', '_', '-', '\t'], StringSplitOptions.RemoveEmptyEntries)).ToLowerInvariant();
    }

    private int Numbered(string name, int count, string option)
    {
        if (int.TryParse(name, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var index))
        {
            return index >= 0 && index < count
                ? index
                : throw new UsageException($"{option}: class {index} does not exist; the model has classes 0 to {count - 1}.");
        }

        if (_labels.Count == 0)
            throw new UsageException(
                $"{option} '{Excerpt.Of(name)}': the model's classes have no names; give a number from 0 to {count - 1}."
            );
        var near = NearestName.AllOf(name, _labels.Values.SelectMany(static n => n.Split(',')).Select(static n => n.Trim()).Distinct());
        if (near.Count > 0)
            throw new UsageException(
                $"{option}: the model has no class '{Excerpt.Of(name)}'; did you mean "
                    + $"{string.Join(" or ", near.Select(static n => $"'{n}'"))}?"
            );
        string[] names = [.. _labels.OrderBy(static l => l.Key).Select(static l => l.Value)];
        var more = names.Length > Listed ? $", … and {names.Length - Listed} more" : "";
        throw new UsageException(
            $"{option}: the model has no class '{Excerpt.Of(name)}'. Its classes are {string.Join("; ", names.Take(Listed))}{more}."
        );
    }

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
