using System.Globalization;
using System.Text;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Evaluation.Reports;

/// <summary>Files of a report.</summary>
/// <param name="Html">Page.</param>
/// <param name="Json">Content without pictures, as JSON.</param>
/// <param name="Csv">One file per table and chart, in the order of the report.</param>
public sealed record ReportFiles(string Html, string Json, IReadOnlyList<string> Csv);

/// <summary>Writes a report into a folder: the page, and its numbers for other programs.</summary>
public static class ReportWriter
{
    /// <summary>File name of the page.</summary>
    public const string HtmlName = "report.html";

    /// <summary>File name of the JSON.</summary>
    public const string JsonName = "report.json";

    /// <summary>Folder of the CSV files.</summary>
    public const string DataFolder = "report-data";

    /// <summary>Checks that a folder is new, empty, or the folder of an earlier report, whose files are replaced.</summary>
    /// <exception cref="UsageException">The folder contains other files.</exception>
    public static void Check(string folder)
    {
        var isFree =
            !Directory.Exists(folder) || File.Exists(Path.Combine(folder, JsonName)) || !Directory.EnumerateFileSystemEntries(folder).Any();
        if (!isFree || File.Exists(folder))
            throw new UsageException($"'{folder}' is not empty and contains no earlier report. Choose another folder with --output.");
    }

    /// <summary>Writes all files, the page last: a new page implies new numbers.</summary>
    /// <param name="document">Report.</param>
    /// <param name="folder">Output folder, created if missing; files of the same name are replaced.</param>
    /// <exception cref="ArgumentException">Lengths in the document differ; the message names the block.</exception>
    /// <exception cref="EnvironmentException">The folder is not writable.</exception>
    public static ReportFiles Write(ReportDocument document, string folder)
    {
        var html = HtmlReport.Render(document);
        List<string> csv = [];
        List<string> names = [];
        foreach (var (title, text) in ReportCsv.Of(document))
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"{csv.Count + 1:00}-{Slug(title)}.csv");
            var path = Path.Combine(folder, DataFolder, name);
            AtomicFile.WriteText(path, text);
            csv.Add(path);
            names.Add($"{DataFolder}/{name}");
        }

        var files = new ReportFiles(Path.Combine(folder, HtmlName), Path.Combine(folder, JsonName), csv);
        AtomicFile.WriteText(files.Json, ReportJson.Of(document, names));
        AtomicFile.WriteText(files.Html, html);
        return files;
    }

    /// <summary>Title as part of a file name: lower-case ASCII letters, digits and hyphens, at most 48 characters.</summary>
    public static string Slug(string title)
    {
        ArgumentNullException.ThrowIfNull(title);
        var slug = new StringBuilder();
        foreach (var letter in title.ToLowerInvariant())
        {
            if (char.IsAsciiLetterOrDigit(letter))
                slug.Append(letter);
            else if (slug.Length > 0 && slug[^1] != '-')
                slug.Append('-');
        }

        var trimmed = slug.ToString(0, Math.Min(slug.Length, 48)).Trim('-');
        return trimmed.Length > 0 ? trimmed : "untitled";
    }
}
