using System.Text;

namespace Retouch.Evaluation.Reports;

/// <summary>
/// Writes HTML that is XML too. Every text and attribute passes through here and is escaped; only the project's own assets go in raw.
/// </summary>
internal sealed class HtmlWriter
{
    private readonly StringBuilder html = new();
    private readonly Stack<string> open = [];

    /// <summary>Opens an element; an attribute that is null is left out.</summary>
    public HtmlWriter Open(string tag, params ReadOnlySpan<(string Name, string? Value)> attributes)
    {
        Start(tag, attributes);
        html.Append('>');
        open.Push(tag);
        return this;
    }

    /// <summary>Closes the innermost open element.</summary>
    public HtmlWriter Close()
    {
        html.Append("</").Append(open.Pop()).Append('>');
        return this;
    }

    /// <summary>Closes the innermost open element and ends the line.</summary>
    public HtmlWriter CloseLine()
    {
        Close();
        html.Append('\n');
        return this;
    }

    /// <summary>An element without content: img, meta.</summary>
    public HtmlWriter Void(string tag, params ReadOnlySpan<(string Name, string? Value)> attributes)
    {
        Start(tag, attributes);
        html.Append(" />");
        return this;
    }

    /// <summary>An element that holds one text.</summary>
    public HtmlWriter Element(string tag, string text, params ReadOnlySpan<(string Name, string? Value)> attributes) =>
        Open(tag, attributes).Text(text).Close();

    /// <summary>Escaped text.</summary>
    public HtmlWriter Text(string text)
    {
        Escape(text);
        return this;
    }

    /// <summary>Text that is HTML already.</summary>
    public HtmlWriter Raw(string trusted)
    {
        html.Append(trusted);
        return this;
    }

    /// <summary>Text in which <c>`code`</c> and <c>**strong**</c> are understood; a mark without its partner stands for itself.</summary>
    public HtmlWriter Marked(string text)
    {
        for (var at = 0; at < text.Length; )
        {
            var (tag, mark) =
                text[at] == '`' ? ("code", "`")
                : text.AsSpan(at).StartsWith("**") ? ("strong", "**")
                : ("", "");
            var end = tag.Length == 0 ? -1 : text.IndexOf(mark, at + mark.Length, StringComparison.Ordinal);
            if (end > at + mark.Length)
            {
                Element(tag, text[(at + mark.Length)..end]);
                at = end + mark.Length;
                continue;
            }

            var next = text.AsSpan(at + 1).IndexOfAny('`', '*');
            var stop = next < 0 ? text.Length : at + 1 + next;
            Text(text[at..stop]);
            at = stop;
        }

        return this;
    }

    /// <inheritdoc/>
    public override string ToString() =>
        open.Count == 0 ? html.ToString() : throw new InvalidOperationException($"<{open.Peek()}> is still open.");

    private void Start(string tag, ReadOnlySpan<(string Name, string? Value)> attributes)
    {
        html.Append('<').Append(tag);
        foreach (var (name, value) in attributes)
        {
            if (value is null)
                continue;
            html.Append(' ').Append(name).Append("=\"");
            Escape(value);
            html.Append('"');
        }
    }

    private void Escape(string text)
    {
        foreach (var rune in text.EnumerateRunes())
        {
            _ = rune.Value switch
            {
                '&' => html.Append("&amp;"),
                '<' => html.Append("&lt;"),
                '>' => html.Append("&gt;"),
                '"' => html.Append("&quot;"),
                '\'' => html.Append("&#39;"),
                // Control characters are in neither HTML nor XML; unpaired surrogates arrive as U+FFFD already.
                (< ' ' and not '\t' and not '\n') or (>= 0x7F and < 0xA0) or 0xFFFE or 0xFFFF => html.Append('\uFFFD'),
                _ => html.Append(rune.ToString()),
            };
        }
    }
}
