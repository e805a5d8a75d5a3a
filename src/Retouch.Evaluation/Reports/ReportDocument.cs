namespace Retouch.Evaluation.Reports;

/// <summary>
/// Content of a report: arms, results, and everything needed to verify them. Rendering is deterministic; a date is part of the content.
/// </summary>
/// <param name="Title">Title of the page.</param>
/// <param name="Sections">Sections in reading order.</param>
public sealed record ReportDocument(string Title, IReadOnlyList<ReportSection> Sections)
{
    /// <summary>Line below the title: model, data, date.</summary>
    public string? Subtitle { get; init; }

    /// <summary>Main result, at the top of the page.</summary>
    public Verdict? Verdict { get; init; }

    /// <summary>Numbers next to the verdict, at most four for legibility.</summary>
    public IReadOnlyList<Highlight> Highlights { get; init; } = [];

    /// <summary>Sentence on the files with the numbers of the page; null for those of <see cref="ReportWriter"/>.</summary>
    public string? Origin { get; init; }

    /// <summary>
    /// Compared arms. A series, a table row or a column of pictures with an arm's name has the arm's colour throughout the report.
    /// </summary>
    public IReadOnlyList<ReportArm> Arms { get; init; } = [];
}

/// <summary>Compared arm: a training configuration.</summary>
/// <param name="Name">Short name; determines the colour.</param>
/// <param name="Summary">Distinguishing settings, in a few words.</param>
public sealed record ReportArm(string Name, string Summary);

/// <summary>Overall direction of a verdict.</summary>
public enum VerdictTone
{
    /// <summary>Significantly better.</summary>
    Better,

    /// <summary>Significantly worse.</summary>
    Worse,

    /// <summary>No significant difference.</summary>
    Unclear,

    /// <summary>Better by some measures and worse by others.</summary>
    Mixed,
}

/// <summary>Main result in words.</summary>
/// <param name="Tone">Determines colour and symbol.</param>
/// <param name="Headline">The result in one sentence.</param>
/// <param name="Detail">Evidence and limitations.</param>
public sealed record Verdict(VerdictTone Tone, string Headline, string? Detail = null);

/// <summary>Number shown large.</summary>
/// <param name="Label">Name of the quantity.</param>
/// <param name="Value">Formatted number with its unit.</param>
/// <param name="Detail">Value of comparison.</param>
public sealed record Highlight(string Label, string Value, string? Detail = null);

/// <summary>Section of a report.</summary>
/// <param name="Title">Heading.</param>
/// <param name="Blocks">Blocks in reading order.</param>
public sealed record ReportSection(string Title, params IReadOnlyList<ReportBlock> Blocks);

/// <summary>Block of a section.</summary>
public abstract record ReportBlock;

/// <summary>Blocks side by side, or below each other on narrow screens.</summary>
public sealed record BlockRow(params IReadOnlyList<ReportBlock> Blocks) : ReportBlock;

/// <summary>
/// Paragraphs. <c>`code`</c> and <c>**strong**</c> are interpreted; everything else is literal.
/// </summary>
public sealed record Prose(params IReadOnlyList<string> Paragraphs) : ReportBlock;

/// <summary>Named values: options, machine, versions.</summary>
public sealed record KeyValues(string? Title, params IReadOnlyList<KeyValuePair<string, string>> Items) : ReportBlock;

/// <summary>Verbatim text in a monospaced font: commands, options as JSON.</summary>
/// <param name="Title">Title.</param>
/// <param name="Text">Text; line breaks are preserved.</param>
/// <param name="Collapsed">Whether only the title is shown until the block is opened (always open in print).</param>
public sealed record CodeBlock(string Title, string Text, bool Collapsed = false) : ReportBlock;
