using Retouch.Core.Formatting;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Measuring;
using Spectre.Console;
using Spectre.Console.Rendering;
using Figure = Retouch.Evaluation.Measuring.Figure;

namespace Retouch.Cli.Terminal;

/// <summary>An evaluation as tables: with lines and colours on a terminal, as plain columns elsewhere.</summary>
internal static class EvaluationText
{
    private const int WideEnough = 400;

    /// <summary>Writes the protocol, a table of figures, and, with several sets, a table of differences.</summary>
    public static void Write(EvaluationResult result, TextWriter writer, TerminalFacts terminal)
    {
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Out = new AnsiConsoleOutput(writer),
                Ansi = terminal.IsTerminal ? AnsiSupport.Yes : AnsiSupport.No,
                Interactive = InteractionSupport.No,
                ColorSystem = terminal is { IsTerminal: true, Color: true } ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            }
        );
        // Output to files is not wrapped.
        if (!terminal.IsTerminal)
            console.Profile.Width = WideEnough;

        foreach (var (name, said) in ProtocolText.Of(result))
            writer.WriteLine($"{name, -10} {said}");
        writer.WriteLine();
        Put(console, writer, Sets(result), terminal);
        if (result.Differences.Count > 0)
        {
            writer.WriteLine();
            writer.WriteLine($"Differences to {result.Sets[0].Name}");
            Put(console, writer, Differences(result), terminal);
        }
    }

    private static Table Sets(EvaluationResult result)
    {
        var table = new Table().AddColumn("figure").AddColumn("better");
        foreach (var set in result.Sets)
            table.AddColumn(new TableColumn(Markup.Escape(set.Name)).RightAligned());
        var hasOwn = result.Sets[0].Figures.Any(static f => f.Reference is not null);
        if (hasOwn)
            table.AddColumn(new TableColumn("reference").RightAligned());
        for (var k = 0; k < result.Sets[0].Figures.Count; k++)
        {
            var figure = result.Sets[0].Figures[k];
            var better = figure.Better switch
            {
                Preference.Lower => "lower",
                Preference.Higher => "higher",
                _ => "",
            };
            List<string> cells = [figure.Name, better, .. result.Sets.Select(set => Markup.Escape(Text(set.Figures[k])))];
            if (hasOwn)
                cells.Add(figure.Reference is { } own ? Figures.Significant(own) : "");
            table.AddRow([.. cells]);
        }

        return table;
    }

    private static Table Differences(EvaluationResult result)
    {
        var table = new Table()
            .AddColumn("figure")
            .AddColumn("set")
            .AddColumn(new TableColumn("difference").RightAligned())
            .AddColumn("pairs")
            .AddColumn("verdict");
        foreach (var difference in result.Differences.OrderBy(d => Place(result, d.Figure)))
        {
            var verdict = difference.Verdict switch
            {
                Verdict.Better => "[green]better[/]",
                Verdict.Worse => "[red]worse[/]",
                Verdict.Undecided => "",
                var other => FigureNames.Said(other, result.Protocol.SmallestDifference),
            };
            table.AddRow(
                difference.Figure,
                Markup.Escape(difference.Set),
                Markup.Escape(Text(difference.Value, difference.Interval)),
                difference.Paired ? "yes" : "no",
                verdict
            );
        }

        return table;
    }

    private static int Place(EvaluationResult result, string figure)
    {
        for (var k = 0; k < result.Sets[0].Figures.Count; k++)
        {
            if (result.Sets[0].Figures[k].Name == figure)
                return k;
        }

        return int.MaxValue;
    }

    private static string Text(Figure figure) => Text(figure.Value, figure.Interval);

    private static string Text(double value, Interval interval) =>
        $"{Figures.Significant(value)} [{Figures.Significant(interval.Low)}, {Figures.Significant(interval.High)}]";

    private static void Put(IAnsiConsole console, TextWriter writer, Table table, TerminalFacts terminal)
    {
        if (terminal.IsTerminal)
        {
            console.Write(table.RoundedBorder());
            return;
        }

        // Trailing spaces of Spectre's plain tables are removed.
        table.Border(TableBorder.None);
        var segments = ((IRenderable)table).Render(RenderOptions.Create(console), console.Profile.Width);
        foreach (var line in string.Concat(segments.Select(static s => s.Text)).Split('\n'))
        {
            if (!string.IsNullOrWhiteSpace(line))
                writer.WriteLine(line.TrimEnd());
        }
    }
}
