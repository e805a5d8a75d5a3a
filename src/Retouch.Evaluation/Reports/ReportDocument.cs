namespace Retouch.Evaluation.Reports;

/// <summary>
/// A report: what was compared, what came out, and everything needed to check it. Rendered the same way for the same content, it holds
/// no clock: a date is content like any other.
/// </summary>
/// <param name="Title">The page's title.</param>
/// <param name="Sections">In the order of reading.</param>
public sealed record ReportDocument(string Title, IReadOnlyList<ReportSection> Sections)
{
    /// <summary>One line under the title: model, data, date.</summary>
    public string? Subtitle { get; init; }

    /// <summary>The answer, above everything else.</summary>
    public Verdict? Verdict { get; init; }

    /// <summary>A few numbers beside the verdict; at most four read well.</summary>
    public IReadOnlyList<Highlight> Highlights { get; init; } = [];

    /// <summary>
    /// What is compared. A chart's series, a table's row or a column of pictures that is named like an arm wears the arm's colour
    /// throughout the report.
    /// </summary>
    public IReadOnlyList<ReportArm> Arms { get; init; } = [];
}

/// <summary>One of the things compared: a way of training.</summary>
/// <param name="Name">Short; the key to its colour.</param>
/// <param name="Summary">What sets it apart, in a few words.</param>
public sealed record ReportArm(string Name, string Summary);

/// <summary>What the numbers say, all in all.</summary>
public enum VerdictTone
{
    /// <summary>Better, and more than chance would explain.</summary>
    Better,

    /// <summary>Worse, and more than chance would explain.</summary>
    Worse,

    /// <summary>No difference was shown.</summary>
    Unclear,

    /// <summary>Better in some respects and worse in others.</summary>
    Mixed,
}

/// <summary>The answer in plain words.</summary>
/// <param name="Tone">Decides colour and symbol.</param>
/// <param name="Headline">One sentence that somebody who reads nothing else should read.</param>
/// <param name="Detail">What it rests on and what it does not say.</param>
public sealed record Verdict(VerdictTone Tone, string Headline, string? Detail = null);

/// <summary>A number worth showing large.</summary>
/// <param name="Label">What it is.</param>
/// <param name="Value">The number, written out with its unit.</param>
/// <param name="Detail">Against what.</param>
public sealed record Highlight(string Label, string Value, string? Detail = null);

/// <summary>A part of the report under a heading.</summary>
/// <param name="Title">The heading.</param>
/// <param name="Blocks">In the order of reading.</param>
public sealed record ReportSection(string Title, params IReadOnlyList<ReportBlock> Blocks);

/// <summary>A piece of a section.</summary>
public abstract record ReportBlock;

/// <summary>Blocks side by side where the screen is wide enough, else below each other.</summary>
public sealed record BlockRow(params IReadOnlyList<ReportBlock> Blocks) : ReportBlock;

/// <summary>
/// Plain paragraphs. <c>`code`</c> and <c>**strong**</c> are understood; everything else is shown as written.
/// </summary>
public sealed record Prose(params IReadOnlyList<string> Paragraphs) : ReportBlock;

/// <summary>Named facts: options, the machine, versions.</summary>
public sealed record KeyValues(string? Title, params IReadOnlyList<KeyValuePair<string, string>> Items) : ReportBlock;

/// <summary>Text that is shown as it is, in a fixed-width face: commands, options as JSON.</summary>
/// <param name="Title">What it is.</param>
/// <param name="Text">Line breaks are kept.</param>
/// <param name="Collapsed">Only the title is shown until it is opened (always open in print).</param>
public sealed record CodeBlock(string Title, string Text, bool Collapsed = false) : ReportBlock;
