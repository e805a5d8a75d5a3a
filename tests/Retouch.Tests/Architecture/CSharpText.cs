using System.Text;

namespace Retouch.Tests.Architecture;

/// <summary>Minimal C# scanner that distinguishes code, comments and literals.</summary>
internal static class CSharpText
{
    /// <summary>
    /// The text with comments and contents of string and character literals replaced by blanks; line breaks and code in interpolations
    /// are kept, so that positions and line numbers are unchanged.
    /// </summary>
    public static string CodeOnly(string text)
    {
        var scanner = new Scanner(text);
        scanner.Code(insideHole: false);
        return scanner.Output.ToString();
    }

    /// <summary>The text with code replaced by blanks; comments and contents of literals keep their positions.</summary>
    public static string ProseOnly(string text)
    {
        var code = CodeOnly(text);
        return new string([.. text.Select((c, i) => code[i] == c && c != '\n' ? ' ' : c)]);
    }

    private sealed class Scanner(string text)
    {
        private int _at;

        public StringBuilder Output { get; } = new(text.Length);

        public void Code(bool insideHole)
        {
            var depth = 0;
            while (_at < text.Length)
            {
                if (insideHole && text[_at] == '}' && depth == 0)
                    return;
                if (Sees("//"))
                    BlankUntil("\n", including: false);
                else if (Sees("/*"))
                    BlankUntil("*/", including: true);
                else if (text[_at] == '\'')
                    Character();
                else if (StringStart() is { } start)
                    String(start);
                else
                {
                    depth += text[_at] switch
                    {
                        '{' => 1,
                        '}' => -1,
                        _ => 0,
                    };
                    Keep();
                }
            }
        }

        /// <summary>Prefix of a string literal: number of dollar signs, verbatim flag, number of quotes.</summary>
        private (int Dollars, bool Verbatim, int Quotes)? StringStart()
        {
            var (i, dollars, verbatim) = (_at, 0, false);
            for (; i < text.Length && text[i] is '$' or '@'; i++)
            {
                dollars += text[i] == '$' ? 1 : 0;
                verbatim |= text[i] == '@';
            }

            var quotes = 0;
            while (i + quotes < text.Length && text[i + quotes] == '"')
                quotes++;
            if (quotes == 0)
                return null;
            // Two quotes are an empty literal; three or more open a raw one.
            return (dollars, verbatim, !verbatim && quotes >= 3 ? quotes : 1);
        }

        private void String((int Dollars, bool Verbatim, int Quotes) start)
        {
            while (text[_at] != '"')
                Keep();
            for (var i = 0; i < start.Quotes; i++)
                Keep();
            var end = new string('"', start.Quotes);
            var raw = start.Quotes >= 3;
            var hole = new string('{', raw ? Math.Max(1, start.Dollars) : 1);
            while (_at < text.Length)
            {
                if (Sees(end) && !(start.Verbatim && Sees("\"\"")))
                {
                    for (var i = 0; i < start.Quotes; i++)
                        Keep();
                    return;
                }

                if (start.Verbatim && Sees("\"\"") || !raw && !start.Verbatim && text[_at] == '\\')
                {
                    Blank();
                    Blank();
                }
                else if (start.Dollars > 0 && Sees(hole) && (raw || !Sees("{{")))
                    Hole(hole.Length);
                else if (start.Dollars > 0 && !raw && Sees("{{"))
                {
                    Blank();
                    Blank();
                }
                else
                    Blank();
            }
        }

        private void Hole(int braces)
        {
            for (var i = 0; i < braces; i++)
                Blank();
            Code(insideHole: true);
            for (var i = 0; i < braces; i++)
                Blank();
        }

        private void Character()
        {
            Keep();
            while (_at < text.Length && text[_at] is not ('\'' or '\n'))
            {
                if (text[_at] == '\\')
                    Blank();
                Blank();
            }

            if (_at < text.Length)
                Keep();
        }

        private bool Sees(string token) => string.CompareOrdinal(text, _at, token, 0, token.Length) == 0;

        private void BlankUntil(string token, bool including)
        {
            while (_at < text.Length && !Sees(token))
                Blank();
            for (var i = 0; including && i < token.Length; i++)
                Blank();
        }

        private void Keep()
        {
            if (_at < text.Length)
                Output.Append(text[_at++]);
        }

        private void Blank()
        {
            if (_at < text.Length)
                Output.Append(text[_at++] is '\n' ? '\n' : ' ');
        }
    }
}
