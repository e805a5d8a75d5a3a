using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;

namespace Retouch.Training.Conditions;

/// <summary>
/// From the classes of a data set to those of the denoiser: by the names that the model gives its classes (<c>id2label</c>), else by
/// number where all names are numbers, else, for a model without names, in their order. What cannot be matched is refused with both lists.
/// </summary>
internal sealed class ClassMapping
{
    private const int Shown = 20;

    private readonly IReadOnlyList<string> _names;
    private readonly int[] _classes;
    private readonly string _how;

    private ClassMapping(IReadOnlyList<string> names, int[] classes, string how) => (_names, _classes, _how) = (names, classes, how);

    /// <summary>The denoiser's class of each of the data's, by label.</summary>
    public IReadOnlyList<int> Classes => _classes;

    /// <summary>Matches classes.</summary>
    /// <param name="source">The data.</param>
    /// <param name="labels">Names of the model's classes by number; empty where it has none.</param>
    /// <param name="count">How many classes the denoiser knows.</param>
    /// <exception cref="InputException">Classes cannot be matched, or two of them are one of the model's.</exception>
    public static ClassMapping Create(IPictureSource source, IReadOnlyDictionary<int, string> labels, int count)
    {
        var names = source.Classes;
        if (source.HasNumberedClasses)
            return OfNumbers(source, labels, count);
        var byName = labels.Count > 0 ? names.Select(new ClassNames(labels).Find).ToArray() : [];
        var unknown = names.Where((_, k) => byName.Length > 0 && byName[k] is null).ToArray();
        if (byName.Length > 0 && unknown.Length == 0)
            return Distinct(names, [.. byName.Select(static c => c!.Value)], "by the model's own names", labels);
        int?[] numbers =
        [
            .. names.Select(static n => int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out var x) ? (int?)x : null),
        ];
        if (names.Count > 0 && numbers.All(n => n < count))
            return Distinct(names, [.. numbers.Select(static n => n!.Value)], "by number", labels);
        if (labels.Count > 0)
        {
            throw new InputException(
                $"{unknown.Length} of the data's {names.Count} classes are none of the model's: {List(unknown)}. "
                    + $"The model knows {List([.. labels.OrderBy(static l => l.Key).Select(static l => l.Value)])}. "
                    + "Name the folders (or labels) by the model's classes, or by their numbers."
            );
        }

        return names.Count <= count
            ? new(names, [.. Enumerable.Range(0, names.Count)], "in the order of their names, since the model's classes have none")
            : throw new InputException(
                $"The data have {names.Count} classes, {List(names)}, the denoiser knows {count} (0 to {count - 1}) and has no "
                    + $"names for them. "
                    + "Take classes out, or name the folders by the numbers of the model's classes."
            );
    }

    /// <summary>The data with the denoiser's classes for labels.</summary>
    public IPictureSource Apply(IPictureSource source) =>
        _classes.Select(static (c, k) => c == k).All(static same => same) ? source : RelabelledPictures.Of(source, _classes);

    /// <summary>The mapping in words, once a run.</summary>
    /// <param name="source">The data, as they were.</param>
    public string Describe(IPictureSource source)
    {
        var counts = new int[_names.Count];
        for (var k = 0; k < source.Count; k++)
        {
            if (source[k].Label is { } label)
                counts[label]++;
        }

        int[] used = [.. Enumerable.Range(0, _names.Count).Where(k => counts[k] > 0)];
        var shown = used.Take(Shown).Select(k => $"{_names[k]} → {_classes[k]} ({Figures.Count(counts[k])})");
        var more = used.Length > Shown ? $", … and {used.Length - Shown} more" : "";
        return $"{used.Length} {(used.Length == 1 ? "class" : "classes")}, {_how}, each with the denoiser's class and its "
            + $"pictures: {string.Join(", ", shown)}{more}.";
    }

    // A number is a class; a name beside it (a folder's) may not be that of another one.
    private static ClassMapping OfNumbers(IPictureSource source, IReadOnlyDictionary<int, string> labels, int count)
    {
        var names = source.Classes;
        var known = new ClassNames(labels);
        for (var label = 0; label < names.Count; label++)
        {
            if (known.Find(names[label]) is { } other && other != label && names[label] != label.ToString(CultureInfo.InvariantCulture))
            {
                throw new InputException(
                    $"The data call their class {label} '{names[label]}', which is class {other} of the model; its class {label} is "
                        + $"'{labels.GetValueOrDefault(label, "without a name")}'. Correct the labels, or give names instead of numbers."
                );
            }
        }

        if (names.Count > count)
        {
            var beyond = Enumerable.Range(0, source.Count).Select(k => source[k]).Where(s => s.Label >= count).ToArray();
            throw new InputException(
                $"{beyond.Length} of {source.Count} pictures have a class beyond the {count} that the denoiser knows (0 to {count - 1}). "
                    + $"The first are {List([.. beyond.Select(static s => $"{s.Id} (class {s.Label})")], 3)}."
            );
        }

        return new(names, [.. Enumerable.Range(0, names.Count)], "by number");
    }

    private static ClassMapping Distinct(IReadOnlyList<string> names, int[] classes, string how, IReadOnlyDictionary<int, string> labels)
    {
        if (
            classes.Select(static (c, k) => (Class: c, Index: k)).GroupBy(static p => p.Class).FirstOrDefault(static g => g.Count() > 1)
            is not { } twice
        )
            return new(names, classes, how);
        var named = labels.TryGetValue(twice.Key, out var name) ? $" ('{name}')" : "";
        throw new InputException(
            $"The data's classes {string.Join(" and ", twice.Select(p => $"'{names[p.Index]}'"))} are both class {twice.Key} of "
                + $"the model{named}. "
                + "Put their pictures together, or rename one."
        );
    }

    private static string List(IReadOnlyList<string> names, int shown = Shown) =>
        string.Join(", ", names.Take(shown)) + (names.Count > shown ? $", … and {names.Count - shown} more" : "");
}
