using System.Globalization;
using System.Text.Json.Serialization;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Measuring;

namespace Retouch.Experiments.Ablations;

/// <summary>Figure of a row, over its seeds.</summary>
public sealed record AblationFigure(string Name, Preference Better, SeedEstimate Estimate);

/// <summary>An arm with one way of sampling, over its seeds.</summary>
/// <param name="Name">Name in tables.</param>
/// <param name="Seeds">Completed seeds; empty for an initial model.</param>
/// <param name="Figures">Measured figures.</param>
public sealed record AblationRow(string Name, IReadOnlyList<ulong> Seeds, IReadOnlyList<AblationFigure> Figures)
{
    /// <summary>Arm; null for an initial model.</summary>
    [JsonIgnore]
    public PlannedArm? Arm { get; init; }

    /// <summary>Name of the arm or of the initial model.</summary>
    [JsonIgnore]
    public string Model { get; init; } = null!;

    /// <summary>Sampling options.</summary>
    [JsonIgnore]
    public Variant Variant { get; init; } = null!;

    /// <summary>Pictures of training and reference.</summary>
    [JsonIgnore]
    public PlannedData Data { get; init; } = null!;

    /// <summary>Folder of sampled pictures, of the first seed.</summary>
    [JsonIgnore]
    public string Pictures { get; init; } = null!;

    /// <summary>Measurements by seed.</summary>
    [JsonIgnore]
    public IReadOnlyList<MeasuredPictures> Measured { get; init; } = null!;

    /// <summary>A figure, or null if undefined for pictures of this size.</summary>
    public AblationFigure? Find(string name) => Figures.FirstOrDefault(f => f.Name == name);
}

/// <summary>Difference between a row and its comparison row, paired by training and picture seeds.</summary>
/// <param name="Row">Name of the row.</param>
/// <param name="Against">Name of the comparison row.</param>
/// <param name="Figure">Name of the figure.</param>
/// <param name="Estimate">Difference.</param>
/// <param name="Seeds">Number of common seeds.</param>
/// <param name="Agree">Number of seeds whose difference has the sign of the mean.</param>
/// <param name="Verdict">better, worse, negligible, not shown, one seed or void; see <see cref="AblationVerdict"/>.</param>
public sealed record AblationDifference(
    string Row,
    string Against,
    string Figure,
    SeedEstimate Estimate,
    int Seeds,
    int Agree,
    string Verdict
);

/// <summary>All measurements of an ablation.</summary>
/// <param name="Rows">Initial models, then arms.</param>
/// <param name="Differences">Differences to each arm's comparison arm.</param>
public sealed record AblationFigures(IReadOnlyList<AblationRow> Rows, IReadOnlyList<AblationDifference> Differences)
{
    /// <summary>Reads the completed measurements.</summary>
    public static AblationFigures Read(AblationPlan plan, AblationFolder folder)
    {
        var e = plan.Spec.Evaluation;
        List<AblationRow> rows = [];
        foreach (var start in e.Before ? AblationWork.Starts(plan) : [])
        {
            foreach (var variant in start.Variants)
                Add(
                    start.Name,
                    Suffix(start.Variants, variant),
                    null,
                    variant,
                    start.Data,
                    [(0, folder.Pictures(start.Folder, variant, e))]
                );
        }

        foreach (var arm in plan.Arms)
        {
            var variants = plan.Variants(arm);
            foreach (var variant in variants)
                Add(
                    arm.Name,
                    Suffix(variants, variant),
                    arm,
                    variant,
                    arm.Training.Data,
                    [.. plan.Spec.Seeds.Select(seed => (seed, folder.Pictures(AblationFolder.ModelOf(arm, seed), variant, e)))]
                );
        }

        List<AblationDifference> differences = [];
        foreach (var row in rows.Where(static row => row.Arm is { } arm && arm.Against != arm.Name))
        {
            if (rows.FirstOrDefault(other => other.Arm?.Name == row.Arm!.Against && other.Variant == row.Variant) is { } other)
                differences.AddRange(row.Figures.Select(figure => Compare(row, other, figure.Name, e)).OfType<AblationDifference>());
        }

        return new AblationFigures(rows, differences);

        void Add(
            string model,
            string suffix,
            PlannedArm? arm,
            Variant variant,
            PlannedData data,
            IReadOnlyList<(ulong Seed, string Pictures)> runs
        )
        {
            var there = runs.Select(run =>
                    (run.Seed, run.Pictures, Measured: MeasuredPictures.Read(AblationFolder.Figures(run.Pictures, data, e)))
                )
                .Where(static run => run.Measured is not null)
                .ToArray();
            if (there.Length == 0)
                return;
            MeasuredPictures[] measured = [.. there.Select(static run => run.Measured!)];
            var figures = measured[0]
                .Figures.Select(figure => new AblationFigure(
                    figure.Name,
                    figure.Better,
                    SeedBootstrap.Mean(
                        [.. measured.Select(m => m.Find(figure.Name)!.Value)],
                        [.. measured.Select(m => m.Find(figure.Name)!.Replicates)],
                        e.Bootstrap
                    )
                ));
            rows.Add(
                new AblationRow(model + suffix, arm is null ? [] : [.. there.Select(static run => run.Seed)], [.. figures])
                {
                    Model = model,
                    Arm = arm,
                    Variant = variant,
                    Data = data,
                    Pictures = there[0].Pictures,
                    Measured = measured,
                }
            );
        }
    }

    /// <summary>
    /// Measured name of the decisive figure: the name in the spec, or that name with the network's key (<c>fd</c> becomes
    /// <c>fd.squeezenet</c> with SqueezeNet).
    /// </summary>
    /// <param name="wanted">Name in the spec.</param>
    /// <param name="rows">Measured rows.</param>
    public static string Decisive(string wanted, IEnumerable<AblationRow> rows)
    {
        string[] names = [.. rows.SelectMany(static row => row.Figures).Select(static f => f.Name).Distinct()];
        return names.Contains(wanted, StringComparer.Ordinal)
            ? wanted
            : names.FirstOrDefault(n => n.StartsWith(wanted + ".", StringComparison.Ordinal)) ?? wanted;
    }

    /// <summary>Rows as TensorBoard runs.</summary>
    public IReadOnlyList<FigureRun> Runs() =>
        [
            .. Rows.Select(static row => new FigureRun(
                row.Name,
                row.Arm?.Training.Options.Steps ?? 0,
                [.. row.Figures.Select(static f => (f.Name, f.Estimate.Value, f.Estimate.Interval))]
            )),
        ];

    /// <summary>Difference of two rows over their common seeds; null without any.</summary>
    public static AblationDifference? Compare(AblationRow row, AblationRow other, string figure, AblationEvaluation evaluation)
    {
        var common = row.Seeds.Intersect(other.Seeds).ToArray();
        if (common.Length == 0 || row.Find(figure) is not { } named || other.Find(figure) is null)
            return null;
        MeasuredFigure[] Of(AblationRow of) => [.. common.Select(seed => of.Measured[of.Seeds.ToList().IndexOf(seed)].Find(figure)!)];
        var (mine, theirs) = (Of(row), Of(other));
        var estimate = SeedBootstrap.Difference(
            [.. mine.Select(static m => m.Value)],
            [.. mine.Select(static m => m.Replicates)],
            [.. theirs.Select(static m => m.Value)],
            [.. theirs.Select(static m => m.Replicates)],
            evaluation.Bootstrap
        );
        var verdict = VerdictRule.Of(
            estimate.Side,
            estimate.Value,
            theirs.Average(static m => m.Value),
            named.Better,
            evaluation.SmallestDifference ?? VerdictRule.Smallest,
            mine.Concat(theirs).Any(static m => m.IsVoid)
        );
        return new AblationDifference(
            row.Name,
            other.Name,
            figure,
            estimate,
            common.Length,
            estimate.Seeds.Count(d => Math.Sign(d) == Math.Sign(estimate.Value)),
            AblationVerdict.Of(verdict, common.Length)
        );
    }

    private static string Suffix(IReadOnlyList<Variant> all, Variant one)
    {
        List<string> parts = [];
        if (all.Select(static v => v.Decay).Distinct().Count() > 1)
            parts.Add(one.Decay == 0 ? "the weights themselves" : string.Create(CultureInfo.InvariantCulture, $"decay {one.Decay}"));
        if (all.Select(static v => v.Guidance).Distinct().Count() > 1)
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"guidance {one.Guidance}"));
        if (all.Select(static v => v.Steps).Distinct().Count() > 1)
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"{one.Steps} steps"));
        return parts.Count == 0 ? "" : " · " + string.Join(", ", parts);
    }
}
