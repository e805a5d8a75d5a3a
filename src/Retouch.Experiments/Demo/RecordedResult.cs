using System.Text.Json.Nodes;
using Retouch.Core.Formatting;
using Retouch.Core.Json;
using Retouch.Evaluation.Reports;
using Retouch.Experiments.Measuring;
using Retouch.Training.Options;

namespace Retouch.Experiments.Demo;

/// <summary>Arm of a recorded result.</summary>
/// <param name="Name">Name, as in the demo.</param>
/// <param name="Value">Mean of the decisive figure over the training seeds.</param>
/// <param name="Low">Lower bound of its interval over pictures and seeds.</param>
/// <param name="High">Upper bound.</param>
/// <param name="Difference">Relative difference to the diffusion loss only; null for that arm itself.</param>
/// <param name="DifferenceLow">Lower bound of the wider of its two intervals: over pictures and seeds, over seeds.</param>
/// <param name="DifferenceHigh">Upper bound.</param>
public sealed record RecordedArm(
    string Name,
    double Value,
    double Low,
    double High,
    double? Difference,
    double? DifferenceLow,
    double? DifferenceHigh
);

/// <summary>
/// Arms over several training seeds, recorded in advance and shipped with the program, since a live run has time for one training seed
/// and one type of pictures only.
/// </summary>
/// <param name="Title">Recipe or pictures, as in tables.</param>
/// <param name="Machine">Machine and date.</param>
/// <param name="Seeds">Number of training seeds.</param>
/// <param name="Samples">Sampled pictures per model.</param>
/// <param name="Steps">Training steps per arm.</param>
/// <param name="Figure">Name of the decisive figure.</param>
/// <param name="Arms">Arms, the diffusion loss only first.</param>
public sealed record RecordedResult(
    string Title,
    string Machine,
    int Seeds,
    int Samples,
    long Steps,
    string Figure,
    IReadOnlyList<RecordedArm> Arms
)
{
    /// <summary>The demo's own recipe (<c>bench/demo-seeds.sh</c>), then photographs (<c>bench/lpl.sh</c>).</summary>
    /// <exception cref="Core.Errors.InputException">A file is damaged.</exception>
    public static IReadOnlyList<RecordedResult> ReadAll() =>
        [.. DemoRecipes.Recorded.Select(static file => Parse(OptionsFile.Read(file), file))];

    /// <summary>Whether a live run uses the recorded recipe: procedural scenes, the program's own networks, the same number of
    /// steps.</summary>
    public bool IsOf(DemoSettings settings) => settings is { Data: null, Model: null, Retrain: false } && settings.Steps == Steps;

    /// <summary>Differences, for the top of the report.</summary>
    public IEnumerable<Highlight> Highlights() =>
        Arms.Where(static a => a.Difference is not null)
            .Select(a => new Highlight(
                $"recorded with {Figures.Count(Seeds, "seed")}, {Title}: {a.Name}",
                Signed(a.Difference!.Value),
                $"{FigureNames.Header(Figure)}, {Signed(a.DifferenceLow!.Value)} to {Signed(a.DifferenceHigh!.Value)}, against latent only"
            ));

    /// <summary>Table of the arms.</summary>
    public ReportTable Table() =>
        new(
            $"Recorded: {Title}, several training seeds",
            "arm",
            [new(FigureNames.Header(Figure), Better.Lower), new("interval"), new("difference to latent only"), new("interval")],
            [
                .. Arms.Select(static a => new TableRow(
                    a.Name,
                    a.Value,
                    $"{Figures.Significant(a.Low, 3)} to {Figures.Significant(a.High, 3)}",
                    a.Difference is { } d ? Signed(d) : TableCell.Missing,
                    a.DifferenceLow is { } low ? $"{Signed(low)} to {Signed(a.DifferenceHigh!.Value)}" : TableCell.Missing
                )),
            ]
        )
        {
            Note =
                $"Not of this run: recorded on {Machine}, {Figures.Count(Seeds)} training seeds, {Figures.Count(Steps, "step")}, "
                + $"{Figures.Count(Samples, "picture")} per model. Intervals are 95 % intervals over pictures and training seeds; for "
                + "differences, the wider of that and Student's interval over the seeds.",
        };

    /// <summary>Parses a recorded file: the output of <c>retouch ablate --json</c>, and the machine.</summary>
    internal static RecordedResult Parse(JsonObject json, string origin)
    {
        var members = new JsonMembers(json, origin);
        var figure = members.Text("figure");
        var outcome = json["figures"] as JsonObject ?? throw members.Wrong("figures", "the figures of an ablation");
        List<RecordedArm> arms = [];
        foreach (var row in outcome["rows"]!.AsArray().OfType<JsonObject>())
        {
            // Initial models have no training seeds.
            if (row["seeds"]!.AsArray().Count == 0)
                continue;
            var name = (string)row["name"]!;
            var estimate = Named(row["figures"]!.AsArray(), "name", figure)!["estimate"]!;
            var value = (double)estimate["value"]!;
            var difference = outcome["differences"]!
                .AsArray()
                .OfType<JsonObject>()
                .FirstOrDefault(d => (string?)d["row"] == name && (string?)d["figure"] == figure);
            var against = difference is null
                ? double.NaN
                : (double)
                    Named(
                        Named(outcome["rows"]!.AsArray(), "name", (string)difference["against"]!)!["figures"]!.AsArray(),
                        "name",
                        figure
                    )!["estimate"]!["value"]!;
            var (low, high) = difference is null ? (0, 0) : Wider(difference["estimate"]!);
            arms.Add(
                new(
                    name,
                    value,
                    (double)estimate["interval"]!["low"]!,
                    (double)estimate["interval"]!["high"]!,
                    difference is null ? null : (double)difference["estimate"]!["value"]! / against,
                    difference is null ? null : low / against,
                    difference is null ? null : high / against
                )
            );
        }

        return arms.Count > 1
            ? new(
                members.Text("title"),
                members.Text("machine"),
                members.Integer("seeds"),
                members.Integer("samples"),
                members.Integer("steps"),
                figure,
                arms
            )
            : throw members.Wrong("figures", "at least two arms");
    }

    private static (double Low, double High) Wider(JsonNode estimate)
    {
        var (interval, seeds) = (estimate["interval"]!, estimate["overSeeds"]);
        var (low, high) = ((double)interval["low"]!, (double)interval["high"]!);
        return seeds is null ? (low, high) : (Math.Min(low, (double)seeds["low"]!), Math.Max(high, (double)seeds["high"]!));
    }

    private static JsonObject? Named(JsonArray list, string member, string name) =>
        list.OfType<JsonObject>().FirstOrDefault(o => (string?)o[member] == name);

    private static string Signed(double share) => (share < 0 ? "−" : "+") + Figures.Percent(Math.Abs(share));
}
