using System.Globalization;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Evaluation.Reports;

namespace Retouch.Experiments.Sampling;

/// <summary>Page with the pictures of a sampled folder, in the folder; data sets ignore it.</summary>
public static class ContactSheet
{
    /// <summary>File name of the page.</summary>
    public const string FileName = "contact-sheet.html";

    private const int MostPictures = 256;
    private const long MostBytes = 48L << 20;

    /// <summary>Writes the page; an existing one is replaced.</summary>
    /// <param name="folder">Folder of the pictures.</param>
    /// <param name="title">Title of the page, such as the model.</param>
    /// <param name="subtitle">Line below the title, such as sampler and guidance.</param>
    /// <param name="pictures">File name and label of each picture, in order.</param>
    public static void Write(string folder, string title, string subtitle, IReadOnlyList<(string File, string Label)> pictures)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        List<byte[]> shown = [];
        long bytes = 0;
        foreach (var (file, _) in pictures.Take(MostPictures))
        {
            var png = File.ReadAllBytes(Path.Combine(folder, file));
            bytes += png.Length;
            // At least one, whatever its size.
            if (bytes > MostBytes && shown.Count > 0)
                break;
            shown.Add(png);
        }

        string[] labels = [.. pictures.Take(shown.Count).Select(static p => p.Label)];
        var grid = new PictureGrid("Pictures", labels, [new PictureColumn("sample", shown)])
        {
            IsSheet = true,
            Note =
                shown.Count < pictures.Count
                    ? $"The first {Figures.Count(shown.Count)} of {Figures.Count(pictures.Count, "picture")}; all are in the folder."
                    : null,
        };
        var document = new ReportDocument(title, [new ReportSection("Samples", grid)])
        {
            Subtitle = subtitle,
            Origin = $"Seeds, classes and prompts of the pictures are in the folder's `{SampledFolder.MetadataName}`.",
        };
        AtomicFile.WriteText(Path.Combine(folder, FileName), HtmlReport.Render(document));
    }

    /// <summary>Label of a picture: its prompt or class, if any, and its seed.</summary>
    /// <param name="text">Prompt or class name, or null.</param>
    /// <param name="label">Class, or null.</param>
    /// <param name="seed">Seed.</param>
    public static string LabelOf(string? text, int? label, ulong seed)
    {
        var what = text ?? (label is { } l ? string.Create(CultureInfo.InvariantCulture, $"class {l}") : null);
        var number = string.Create(CultureInfo.InvariantCulture, $"seed {seed}");
        return what is null ? number : $"{what} · {number}";
    }
}
