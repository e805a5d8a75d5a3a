using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;

namespace Retouch.Data;

/// <summary>Class labels from folders and metadata.</summary>
/// <param name="Labels">Labels by picture; indices into <paramref name="Classes"/>.</param>
/// <param name="Classes">Class names; empty without classes.</param>
/// <param name="AreNumbers">Whether labels were given as numbers, which are then the model's class indices.</param>
internal sealed record FolderLabels(int?[] Labels, IReadOnlyList<string> Classes, bool AreNumbers)
{
    /// <summary>
    /// Assigns the given labels, or else the parent folders as in imagefolder, if all pictures are at the same depth and in at least
    /// two folders.
    /// </summary>
    /// <param name="pictures">Paths with '/', without split folders.</param>
    /// <param name="given">Labels by picture: an int, a string, or null.</param>
    /// <exception cref="InputException">Names and numbers are mixed.</exception>
    public static FolderLabels Assign(IReadOnlyList<string> pictures, IReadOnlyList<object?> given)
    {
        if (given.Any(static label => label is string) && given.Any(static label => label is int))
            throw new InputException("Some labels in metadata.jsonl are names and some are numbers; use one kind.");
        if (given.Any(static label => label is string))
            return FromNames([.. given.Select(static label => (string?)label)]);
        string?[] folders = [.. pictures.Select(FolderOf)];
        if (given.Any(static label => label is int))
            return FromNumbers([.. given.Select(static label => (int?)label)], folders);
        var usable =
            folders.All(static folder => folder is not null)
            && folders.Distinct(StringComparer.Ordinal).Count() > 1
            && pictures.Select(static p => p.Count(static c => c == '/')).Distinct().Count() == 1;
        return usable ? FromNames(folders) : new(new int?[pictures.Count], [], AreNumbers: false);
    }

    private static string? FolderOf(string path) => path.Split('/') is [.., var folder, _] ? folder : null;

    private static FolderLabels FromNames(string?[] names)
    {
        string[] classes = [.. names.OfType<string>().Distinct(StringComparer.Ordinal).Order(NaturalOrder.Comparer)];
        var labels = classes
            .Select(static (name, label) => (name, label))
            .ToDictionary(static p => p.name, static p => p.label, StringComparer.Ordinal);
        return new([.. names.Select(name => name is null ? null : (int?)labels[name])], classes, AreNumbers: false);
    }

    // Numeric labels have no names; folder names are used if labels and folders correspond one to one.
    private static FolderLabels FromNumbers(int?[] labels, string?[] folders)
    {
        var classes = Enumerable
            .Range(0, labels.Max()!.Value + 1)
            .Select(static label => label.ToString(CultureInfo.InvariantCulture))
            .ToArray();
        var pairs = labels.Zip(folders).Where(static pair => pair.First is not null).Distinct().ToArray();
        var paired =
            pairs.All(static pair => pair.Second is not null)
            && pairs.DistinctBy(static pair => pair.First).Count() == pairs.Length
            && pairs.DistinctBy(static pair => pair.Second, StringComparer.Ordinal).Count() == pairs.Length;
        if (paired)
        {
            foreach (var (label, folder) in pairs)
                classes[label!.Value] = folder!;
        }

        return new(labels, classes, AreNumbers: true);
    }
}
