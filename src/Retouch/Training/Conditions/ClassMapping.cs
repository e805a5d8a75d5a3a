using System.Globalization;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;

namespace Retouch.Training.Conditions;

/// <summary>
/// Maps classes of a data set to classes of the denoiser: by the model's class names (<c>id2label</c>), else by index if all names are
/// numbers, else, for a model without names, in order. Unmatched classes are an error that shows both lists.
/// </summary>
internal sealed class ClassMapping
{
    private const int Shown = 20;

    private readonly IReadOnlyList<string> _names;
    private readonly int[] _classes;
    private readonly string _how;

    private ClassMapping(IReadOnlyList<string> names, int[] classes, string how) => (_names, _classes, _how) = (names, classes, how);

    /// <summary>Class of the denoiser for each label of the data.</summary>
    public IReadOnlyList<int> Classes => _classes;

    /// <summary>Matches the classes.</summary>
    /// <param name="source">Data set.</param>
    /// <param name="labels">Class names of the model by index; empty without names.</param>
    /// <param name="count">Number of classes of the denoiser.</param>
    /// <exception cref="InputException">A class has no match, or two classes match the same class of the model.</exception>
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
                $"{unknown.Length} of the data's {names.Count} classes are unknown to the model: {List(unknown)}. "
                    + $"The model's classes are {List([.. labels.OrderBy(static l => l.Key).Select(static l => l.Value)])}. "
                    + "Name the folders (or labels) after the model's classes or their indices."
            );
        }

        return names.Count <= count
            ? new(names, [.. Enumerable.Range(0, names.Count)], "in the order of their names, since the model's classes have none")
            : throw new InputException(
                $"The data has {names.Count} classes, {List(names)}; the denoiser has {count} (0 to {count - 1}), without "
                    + $"names. "
                    + "Remove classes, or name the folders by the indices of the model's classes."
            );
    }

    /// <summary>The data set with labels of the denoiser.</summary>
    public IPictureSource Apply(IPictureSource source) =>
        _classes.Select(static (c, k) => c == k).All(static same => same) ? source : RelabelledPictures.Of(source, _classes);

    /// <summary>Description of the mapping, logged once per run.</summary>
    /// <param name="source">Data set with its own labels.</param>
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

    // A number is a class index; its folder name must not be the name of a different class.
    private static ClassMapping OfNumbers(IPictureSource source, IReadOnlyDictionary<int, string> labels, int count)
    {
        var names = source.Classes;
        var known = new ClassNames(labels);
        for (var label = 0; label < names.Count; label++)
        {
            if (known.Find(names[label]) is { } other && other != label && names[label] != label.ToString(CultureInfo.InvariantCulture))
            {
                throw new InputException(
                    $"Class {label} of the data is named '{names[label]}', which is class {other} of the model; the model's class {label} "
                        + $"is '{labels.GetValueOrDefault(label, "without a name")}'. Correct the labels, or use names instead of indices."
                );
            }
        }

        if (names.Count > count)
        {
            var beyond = Enumerable.Range(0, source.Count).Select(k => source[k]).Where(s => s.Label >= count).ToArray();
            throw new InputException(
                $"{beyond.Length} of {source.Count} pictures have a class outside the denoiser's {count} classes (0 to {count - 1}). "
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
                + "Merge their folders, or rename one."
        );
    }

    private static string List(IReadOnlyList<string> names, int shown = Shown) =>
        string.Join(", ", names.Take(shown)) + (names.Count > shown ? $", … and {names.Count - shown} more" : "");
}
