using System.Text;

namespace Retouch.Evaluation.Reports;

/// <summary>
/// Writes HTML that is also valid XML. All texts and attributes are escaped; only the project's own assets are written raw.
/// </summary>
internal sealed class HtmlWriter
{
    private readonly StringBuilder _html = new();
    private readonly Stack<string> _open = [];

    /// <summary>Opens an element; null attributes are omitted.</summary>
    public HtmlWriter Open(string tag, params ReadOnlySpan<(string Name, string? Value)> attributes)
    {
        Start(tag, attributes);
        _html.Append('>');
        _open.Push(tag);
        return this;
    }

    /// <summary>Closes the innermost open element.</summary>
    public HtmlWriter Close()
    {
        _html.Append("</").Append(_open.Pop()).Append('>');
        return this;
    }

    /// <summary>Closes the innermost open element and ends the line.</summary>
    public HtmlWriter CloseLine()
    {
        Close();
        _html.Append('\n');
        return this;
    }

    /// <summary>Element without content: img, meta.</summary>
    public HtmlWriter Void(string tag, params ReadOnlySpan<(string Name, string? Value)> attributes)
    {
        Start(tag, attributes);
        _html.Append(" />");
        return this;
    }

    /// <summary>Element with a single text.</summary>
    public HtmlWriter Element(string tag, string text, params ReadOnlySpan<(string Name, string? Value)> attributes) =>
        Open(tag, attributes).Text(text).Close();

    /// <summary>Escaped text.</summary>
    public HtmlWriter Text(string text)
    {
        Escape(text);
        return this;
    }

    /// <summary>Raw HTML.</summary>
    public HtmlWriter Raw(string trusted)
    {
        _html.Append(trusted);
        return this;
    }

    /// <summary>Text with <c>`code`</c> and <c>**strong**</c>; an unmatched mark is a literal character.</summary>
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
        _open.Count == 0 ? _html.ToString() : throw new InvalidOperationException($"<{_open.Peek()}> is still open.");

    private void Start(string tag, ReadOnlySpan<(string Name, string? Value)> attributes)
    {
        _html.Append('<').Append(tag);
        foreach (var (name, value) in attributes)
        {
            if (value is null)
                continue;
            _html.Append(' ').Append(name).Append("=\"");
            Escape(value);
            _html.Append('"');
        }
    }

    private void Escape(string text)
    {
        foreach (var rune in text.EnumerateRunes())
        {
            _ = rune.Value switch
            {
                '&' => _html.Append("&amp;"),
                '<' => _html.Append("&lt;"),
                '>' => _html.Append("&gt;"),
                '"' => _html.Append("&quot;"),
                '\'' => _html.Append("&#39;"),
                // HTML and XML permit no control characters; unpaired surrogates have become U+FFFD already.
                (< ' ' and not '\t' and not '\n') or (>= 0x7F and < 0xA0) or 0xFFFE or 0xFFFF => _html.Append('\uFFFD'),
                _ => _html.Append(rune.ToString()),
            };
        }
    }
}
