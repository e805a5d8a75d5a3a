using System.Text;
using System.Text.Json;
using Retouch.Core.Json;
using Retouch.Images;

namespace Retouch.Evaluation.Reports;

/// <summary>Content of a report as JSON. Non-finite numbers are the strings "NaN", "Infinity" and "-Infinity".</summary>
internal static class ReportJson
{
    public static string Of(ReportDocument document, IReadOnlyList<string> csv)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes, JsonStyles.DocumentWriter))
        {
            json.WriteStartObject();
            json.WriteString("title", document.Title);
            json.WriteString("subtitle", document.Subtitle);
            if (document.Verdict is { } verdict)
            {
                json.WriteStartObject("verdict");
                json.WriteString("tone", verdict.Tone.ToString().ToLowerInvariant());
                json.WriteString("headline", verdict.Headline);
                json.WriteString("detail", verdict.Detail);
                json.WriteEndObject();
            }

            json.WriteArray(
                "highlights",
                document.Highlights,
                item => json.WriteTexts(("label", item.Label), ("value", item.Value), ("detail", item.Detail))
            );
            json.WriteArray("arms", document.Arms, arm => json.WriteTexts(("name", arm.Name), ("summary", arm.Summary)));
            json.WriteArray(
                "sections",
                document.Sections,
                section =>
                {
                    json.WriteStartObject();
                    json.WriteString("title", section.Title);
                    json.WriteArray("blocks", section.Blocks, block => Write(json, block));
                    json.WriteEndObject();
                }
            );
            json.WriteArray("csv", csv, json.WriteStringValue);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(bytes.ToArray()) + "\n";
    }

    private static void Write(Utf8JsonWriter json, ReportBlock block)
    {
        json.WriteStartObject();
        switch (block)
        {
            case Prose prose:
                json.WriteString("kind", "prose");
                json.WriteArray("paragraphs", prose.Paragraphs, json.WriteStringValue);
                break;
            case BlockRow row:
                json.WriteString("kind", "row");
                json.WriteArray("blocks", row.Blocks, part => Write(json, part));
                break;
            case KeyValues values:
                json.WriteString("kind", "values");
                json.WriteString("title", values.Title);
                json.WriteArray("items", values.Items, item => json.WriteTexts(("name", item.Key), ("value", item.Value)));
                break;
            case CodeBlock code:
                json.WriteString("kind", "code");
                json.WriteString("title", code.Title);
                json.WriteString("text", code.Text);
                break;
            case ReportTable table:
                Write(json, table);
                break;
            case LineChart chart:
                Write(json, chart);
                break;
            case BarChart chart:
                Write(json, chart);
                break;
            case PictureGrid grid:
                Write(json, grid);
                break;
            default:
                throw new ArgumentException($"Unknown block type {block.GetType().Name}.", nameof(block));
        }

        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, ReportTable table)
    {
        json.WriteString("kind", "table");
        json.WriteString("title", table.Title);
        json.WriteString("rowHeader", table.RowHeader);
        json.WriteArray(
            "columns",
            table.Columns,
            column =>
                json.WriteTexts(("header", column.Header), ("unit", column.Unit), ("better", column.Better.ToString().ToLowerInvariant()))
        );
        json.WriteArray(
            "rows",
            table.Rows,
            row =>
            {
                json.WriteStartObject();
                json.WriteString("name", row.Name);
                json.WriteBoolean("isReference", row.IsReference);
                json.WriteArray(
                    "cells",
                    row.Cells,
                    cell =>
                    {
                        json.WriteStartObject();
                        if (cell.Text is { } text)
                            json.WriteString("text", text);
                        if (cell.Value is { } value)
                            json.WriteReal("value", value);
                        if (cell.HalfWidth is { } half)
                            json.WriteReal("halfWidth", half);
                        json.WriteEndObject();
                    }
                );
                json.WriteEndObject();
            }
        );
        json.WriteString("intervalNote", table.IntervalNote);
        json.WriteString("note", table.Note);
    }

    private static void Write(Utf8JsonWriter json, LineChart chart)
    {
        json.WriteString("kind", "lines");
        json.WriteString("title", chart.Title);
        json.WriteString("x", chart.X.Label);
        json.WriteString("y", chart.Y.Label);
        json.WriteArray(
            "series",
            chart.Series,
            series =>
            {
                json.WriteStartObject();
                json.WriteString("name", series.Name);
                json.WriteBoolean("isReference", series.IsReference);
                json.WriteReals("x", series.X);
                json.WriteReals("y", series.Y);
                if (series.Low is not null)
                {
                    json.WriteReals("low", series.Low);
                    json.WriteReals("high", series.High!);
                }

                json.WriteEndObject();
            }
        );
        json.WriteString("note", chart.Note);
    }

    private static void Write(Utf8JsonWriter json, BarChart chart)
    {
        json.WriteString("kind", "bars");
        json.WriteString("title", chart.Title);
        json.WriteString("unit", chart.Unit);
        json.WriteArray("categories", chart.Categories, json.WriteStringValue);
        json.WriteArray(
            "series",
            chart.Series,
            series =>
            {
                json.WriteStartObject();
                json.WriteString("name", series.Name);
                json.WriteBoolean("isReference", series.IsReference);
                json.WriteReals("values", series.Values);
                if (series.HalfWidths is not null)
                    json.WriteReals("halfWidths", series.HalfWidths);
                json.WriteEndObject();
            }
        );
        json.WriteString("note", chart.Note);
    }

    private static void Write(Utf8JsonWriter json, PictureGrid grid)
    {
        json.WriteString("kind", "pictures");
        json.WriteString("title", grid.Title);
        json.WriteArray("samples", grid.Samples, json.WriteStringValue);
        json.WriteArray(
            "columns",
            grid.Columns,
            column =>
            {
                json.WriteStartObject();
                json.WriteString("name", column.Name);
                json.WriteArray(
                    "sizes",
                    column.Pictures,
                    picture =>
                    {
                        var header = PngHeader.Read(picture);
                        json.WriteStringValue($"{header.Width}x{header.Height}");
                    }
                );
                json.WriteEndObject();
            }
        );
        json.WriteString("note", grid.Note);
    }
}

/// <summary>Extensions for writing JSON.</summary>
internal static class JsonParts
{
    public static void WriteArray<T>(this Utf8JsonWriter json, string name, IEnumerable<T> items, Action<T> write)
    {
        json.WriteStartArray(name);
        foreach (var item in items)
            write(item);
        json.WriteEndArray();
    }

    public static void WriteTexts(this Utf8JsonWriter json, params ReadOnlySpan<(string Name, string? Value)> members)
    {
        json.WriteStartObject();
        foreach (var (name, value) in members)
            json.WriteString(name, value);
        json.WriteEndObject();
    }

    public static void WriteReal(this Utf8JsonWriter json, string name, double value)
    {
        json.WritePropertyName(name);
        WriteReal(json, value);
    }

    public static void WriteReals(this Utf8JsonWriter json, string name, IEnumerable<double> values) =>
        json.WriteArray(name, values, json.WriteReal);

    private static void WriteReal(this Utf8JsonWriter json, double value)
    {
        if (double.IsFinite(value))
            json.WriteNumberValue(value);
        else
            json.WriteStringValue(
                double.IsNaN(value) ? "NaN"
                : value > 0 ? "Infinity"
                : "-Infinity"
            );
    }
}
