using Retouch.Core.Errors;

namespace Retouch.Data;

/// <summary>From folders and metadata to labels and the names of classes.</summary>
internal static class FolderLabels
{
    public static (int?[] Labels, IReadOnlyList<string> Classes) Assign(IReadOnlyList<string> pictures, object?[] given)
    {
        if (given.Any(label => label is string) && given.Any(label => label is int))
            throw new InputException("Some labels in metadata.jsonl are names and some are numbers; use one kind.");
        if (given.Any(label => label is string))
            return FromNames([.. given.Select(label => (string?)label)]);
        var folders = TopFolders(pictures);
        if (given.Any(label => label is int))
            return FromNumbers([.. given.Select(label => (int?)label)], folders);
        var usable = folders.All(folder => folder is not null) && folders.Distinct(StringComparer.Ordinal).Count() > 1;
        return usable ? FromNames(folders) : (new int?[pictures.Count], []);
    }

    private static string?[] TopFolders(IReadOnlyList<string> pictures) =>
        [.. pictures.Select(path => path.IndexOf('/', StringComparison.Ordinal) is var end && end < 0 ? null : path[..end])];

    private static (int?[] Labels, IReadOnlyList<string> Classes) FromNames(string?[] names)
    {
        string[] classes = [.. names.OfType<string>().Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        return ([.. names.Select(name => name is null ? null : (int?)Array.BinarySearch(classes, name, StringComparer.Ordinal))], classes);
    }

    // Numbers carry no names; the folders lend theirs where each label has a folder of its own.
    private static (int?[] Labels, IReadOnlyList<string> Classes) FromNumbers(int?[] labels, string?[] folders)
    {
        var classes = Enumerable.Range(0, labels.Max()!.Value + 1).Select(label => label.ToString()).ToArray();
        var pairs = labels.Zip(folders).Where(pair => pair.First is not null).Distinct().ToArray();
        var paired =
            pairs.All(pair => pair.Second is not null)
            && pairs.DistinctBy(pair => pair.First).Count() == pairs.Length
            && pairs.DistinctBy(pair => pair.Second, StringComparer.Ordinal).Count() == pairs.Length;
        if (paired)
        {
            foreach (var (label, folder) in pairs)
                classes[label!.Value] = folder!;
        }

        return (labels, classes);
    }
}
