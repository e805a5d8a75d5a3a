using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Retouch.Cli.Tests.Terminal;

/// <summary>
/// The lines that a terminal shows after a program's output: characters, carriage returns, line feeds, cursor movement and erasing, as in
/// ECMA-48. A movement by 0 is one by 1, as terminals have it.
/// </summary>
internal sealed partial class Screen(int columns)
{
    private readonly List<StringBuilder> _lines = [new()];
    private int _row;
    private int _column;

    /// <summary>Lines without trailing spaces.</summary>
    public IReadOnlyList<string> Lines => [.. _lines.Select(static l => l.ToString().TrimEnd())];

    public Screen Write(string output)
    {
        for (var at = 0; at < output.Length; )
        {
            if (Sequence().Match(output, at) is { Success: true } sequence && sequence.Index == at)
            {
                Control(sequence.Groups["final"].Value, sequence.Groups["number"].Value);
                at += sequence.Length;
                continue;
            }

            Put(output[at++]);
        }

        return this;
    }

    private void Put(char character)
    {
        switch (character)
        {
            case '\r':
                _column = 0;
                return;
            case '\n':
                Down();
                return;
            case '\e' or '\a':
                throw new InvalidOperationException("An escape sequence that this screen does not know.");
        }

        if (_column == columns)
        {
            Down();
            _column = 0;
        }

        var line = _lines[_row];
        while (line.Length <= _column)
            line.Append(' ');
        line[_column++] = character;
    }

    private void Down()
    {
        if (++_row == _lines.Count)
            _lines.Add(new());
    }

    private void Control(string final, string number)
    {
        var count = int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : 0;
        switch (final)
        {
            case "A":
                _row = Math.Max(0, _row - Math.Max(1, count));
                break;
            case "B":
                _row = Math.Min(_lines.Count - 1, _row + Math.Max(1, count));
                break;
            case "K":
                Erase(count);
                break;
            case "J":
                Erase(0);
                _lines.RemoveRange(_row + 1, _lines.Count - _row - 1);
                break;
        }
    }

    private void Erase(int which)
    {
        var line = _lines[_row];
        for (var k = which == 0 ? _column : 0; k < (which == 1 ? Math.Min(_column + 1, line.Length) : line.Length); k++)
            line[k] = ' ';
    }

    [GeneratedRegex(@"\e(\[\??(?<number>[0-9]*)(;[0-9]*)*(?<final>[A-Za-z])|[=>])", RegexOptions.ExplicitCapture)]
    private static partial Regex Sequence();
}
