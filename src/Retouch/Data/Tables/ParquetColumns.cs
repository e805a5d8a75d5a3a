using System.Globalization;
using Retouch.Core.Errors;

namespace Retouch.Data.Tables;

/// <summary>Columns of Parquet files.</summary>
public sealed record ParquetColumns
{
    private static readonly string[] Pictures = ["image", "img", "jpg", "png"];
    private static readonly string[] Texts = ["text", "caption", "prompt"];
    private const string Class = "label";

    /// <summary>Column of the pictures. Default: image, img, jpg or png, else the only column of pictures.</summary>
    public string? Image { get; init; }

    /// <summary>Column of the captions, texts or lists of texts. Default: text, caption or prompt.</summary>
    public string? Caption { get; init; }

    /// <summary>Column of the class labels, numbers or names. Default: label, else the only column of class labels.</summary>
    public string? Label { get; init; }

    /// <summary>The columns of a file.</summary>
    /// <exception cref="InputException">A column is missing or ambiguous.</exception>
    internal ParquetColumns In(ParquetTable table)
    {
        Require(table, Image);
        Require(table, Caption);
        Require(table, Label);
        return new()
        {
            Image = Image ?? PictureIn(table),
            Caption = Caption ?? Texts.FirstOrDefault(c => table.Columns.Contains(c, StringComparer.Ordinal) && table.HasText(c)),
            Label = Label ?? LabelIn(table),
        };
    }

    /// <summary>Captions of all rows of a file, each as one line.</summary>
    internal IReadOnlyList<string>[] CaptionsOf(ParquetTable table, int rows) =>
        Caption is null
            ? [.. Enumerable.Repeat<IReadOnlyList<string>>([], rows)]
            : Array.ConvertAll(
                table.Texts(Caption),
                static t => (IReadOnlyList<string>)[.. t.Select(FolderMetadata.OneLine).OfType<string>().Distinct(StringComparer.Ordinal)]
            );

    /// <summary>Labels of all rows of a file: a string, an int, or null; −1 is no label.</summary>
    /// <exception cref="InputException">A label is out of range.</exception>
    internal object?[] LabelsOf(ParquetTable table, int rows)
    {
        if (Label is null)
            return new object?[rows];
        if (table.HasText(Label))
            return Array.ConvertAll(table.Texts(Label), static t => t is [var name] ? (object?)FolderMetadata.OneLine(name) : null);
        var numbers = table.Numbers(Label);
        var names = table.Features.Classes.GetValueOrDefault(Label);
        var labels = new object?[rows];
        for (var k = 0; k < rows; k++)
        {
            if (numbers[k] is not { } number || number == -1)
                continue;
            var most = names is null ? FolderMetadata.MaxLabel : names.Count - 1;
            if (number < 0 || number > most || number != Math.Floor(number))
                throw new InputException(
                    string.Create(CultureInfo.InvariantCulture, $"The label in {Row(table, k)} is {number}; ")
                        + (
                            names is null
                                ? "labels are whole numbers "
                                : $"its column '{Label}' has {names.Count} class names, so labels are "
                        )
                        + $"from 0 to {most}, or -1 for none."
                );
            labels[k] = names is null ? (int)number : names[(int)number];
        }

        return labels;
    }

    /// <summary>A row in messages.</summary>
    internal static string Row(ParquetTable table, int row) =>
        string.Create(CultureInfo.InvariantCulture, $"row {row} (from 0) of '{table.Path}'");

    private static string PictureIn(ParquetTable table)
    {
        string[] known = [.. table.Columns.Where(table.HasBytes)];
        string[] described = [.. table.Features.Pictures.Where(table.HasBytes)];
        if (Pictures.FirstOrDefault(known.Contains) is { } named)
            return named;
        var candidates = described.Length > 0 ? described : known;
        return candidates.Length == 1
            ? candidates[0]
            : throw new InputException(
                $"'{table.Path}' has {(candidates.Length == 0 ? "no" : "several")} columns of pictures"
                    + $"{(candidates.Length == 0 ? "" : $", {string.Join(", ", candidates)}")}; its columns are "
                    + $"{string.Join(", ", table.Columns)}. Name one with data.columns.image; pictures must be in the file, as bytes."
            );
    }

    private static string? LabelIn(ParquetTable table) =>
        table.Columns.Contains(Class, StringComparer.Ordinal) ? Class
        : table.Features.Classes.Count == 1 ? table.Features.Classes.Keys.First()
        : null;

    private static void Require(ParquetTable table, string? column)
    {
        if (column is not null && !table.Columns.Contains(column, StringComparer.Ordinal))
            throw new InputException($"'{table.Path}' has no column '{column}'; its columns are {string.Join(", ", table.Columns)}.");
    }
}
