using System.Globalization;
using System.Text.Json.Serialization;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Measuring;

namespace Retouch.Experiments.Ablations;

/// <summary>A figure of a row, over its seeds.</summary>
public sealed record AblationFigure(string Name, Preference Better, SeedEstimate Estimate);

/// <summary>One way of training and drawing, over its seeds.</summary>
/// <param name="Name">As in tables.</param>
/// <param name="Seeds">Those that are done; empty for a model that arms start from.</param>
/// <param name="Figures">What was measured.</param>
public sealed record AblationRow(string Name, IReadOnlyList<ulong> Seeds, IReadOnlyList<AblationFigure> Figures)
{
    /// <summary>The arm; null for a model that arms start from.</summary>
    [JsonIgnore]
    public PlannedArm? Arm { get; init; }

    /// <summary>The arm's name, or that of the model that arms start from.</summary>
    [JsonIgnore]
    public string Model { get; init; } = null!;

    /// <summary>How pictures were drawn.</summary>
    [JsonIgnore]
    public Variant Variant { get; init; } = null!;

    /// <summary>What they were measured against.</summary>
    [JsonIgnore]
    public PlannedData Data { get; init; } = null!;

    /// <summary>A folder of pictures: of the first seed.</summary>
    [JsonIgnore]
    public string Pictures { get; init; } = null!;

    /// <summary>With each seed.</summary>
    [JsonIgnore]
    public IReadOnlyList<MeasuredPictures> Measured { get; init; } = null!;

    /// <summary>A figure; null where pictures so small have none.</summary>
    public AblationFigure? Find(string name) => Figures.FirstOrDefault(f => f.Name == name);
}

/// <summary>A row's figure less that of the row it is compared with: same seeds of training, same seeds of pictures.</summary>
/// <param name="Row">The row.</param>
/// <param name="Against">The other.</param>
/// <param name="Figure">The figure's name.</param>
/// <param name="Estimate">The difference.</param>
/// <param name="Seeds">Seeds that both have.</param>
/// <param name="Agree">Seeds whose difference has the sign of the mean.</param>
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

/// <summary>All that was measured, put together.</summary>
/// <param name="Rows">Models that arms start from, then arms.</param>
/// <param name="Differences">To the arm that each is compared with.</param>
public sealed record AblationFigures(IReadOnlyList<AblationRow> Rows, IReadOnlyList<AblationDifference> Differences)
{
    /// <summary>Reads what is there.</summary>
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

    /// <summary>The rows as runs for TensorBoard.</summary>
    public IReadOnlyList<FigureRun> Runs() =>
        [
            .. Rows.Select(static row => new FigureRun(
                row.Name,
                row.Arm?.Training.Options.Steps ?? 0,
                [.. row.Figures.Select(static f => (f.Name, f.Estimate.Value, f.Estimate.Interval))]
            )),
        ];

    /// <summary>The difference of two rows, over the seeds that both have; null where there are none.</summary>
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
