using Retouch.Core.Formatting;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Studies;

namespace Retouch.Experiments.Studies;

/// <summary>Study of gradients of decoded windows (<c>objective.decodeCrop</c>), as a report.</summary>
public static class WindowStudy
{
    /// <summary>Measures and builds the report.</summary>
    /// <param name="material">Model and pictures.</param>
    /// <param name="crops">Sides of windows in pixels.</param>
    /// <param name="halos">Halos in pixels.</param>
    /// <param name="time">Timestep in (0, 1).</param>
    /// <param name="seed">Seed of the noise.</param>
    /// <param name="cancellation">Cancels between windows.</param>
    public static (ReportDocument Document, IReadOnlyList<WindowFacts> Result, Action<TextWriter> Text) Build(
        StudyMaterial material,
        IReadOnlyList<int> crops,
        IReadOnlyList<int> halos,
        double time,
        ulong seed,
        CancellationToken cancellation
    )
    {
        var facts = WindowGradients.Measure(
            material.Images,
            material.Autoencoder,
            material.Pipeline is { } pipeline ? (pipeline, material.Condition()) : null,
            time,
            crops,
            halos,
            seed,
            material.Device,
            cancellation
        );
        TableColumn[] columns =
        [
            new("area", Better.Neither),
            new("decoded", Better.Lower),
            new("loss", Better.Neither),
            new("cosine", Better.Higher),
            new("norm", Better.Neither),
            new("cosine of one", Better.Higher),
            new("variance", Better.Lower),
            new("estimated norm", Better.Neither),
        ];
        var tables = facts
            .GroupBy(static f => f.Term)
            .Select(group => new ReportTable(
                group.Key,
                "crop, halo",
                columns,
                [.. group.Select(f => new TableRow($"{f.Crop}, {f.Halo}", [.. Values(f).Select(static v => (TableCell)v)]))]
            )
            {
                Note =
                    "Area of the window and of the decoded region over that of the picture. Loss, cosine and norm: the mean over all "
                    + "windows, against whole pictures. Cosine of one: of a single window's gradient. Variance: of a single window's "
                    + "gradient over the squared norm of the mean. Estimated norm: that of measured weights, against whole pictures.",
            });
        var estimates = material.Pipeline is null ? "the best linear estimate from each latent pixel" : "the denoiser's";
        var document = new ReportDocument(
            "Gradients of decoded windows",
            [
                new ReportSection("Gradients", [.. tables]),
                new ReportSection(
                    "Protocol",
                    material.Protocol([new("Estimates", $"{estimates}, at time {Figures.Significant(time)}, noise of seed {seed}")])
                ),
            ]
        )
        {
            Subtitle = material.Subtitle,
        };
        return (document, facts, writer => Print(facts, writer));
    }

    private static double[] Values(WindowFacts f) =>
        [f.Area, f.Decoded, f.Loss, f.Cosine, f.Norm, f.WindowCosine, f.Variance, f.EstimatedNorm];

    private static void Print(IReadOnlyList<WindowFacts> facts, TextWriter writer)
    {
        var table = new ColumnTable(
            writer,
            ("term", -6),
            ("crop", 5),
            ("halo", 5),
            ("area", 8),
            ("decoded", 8),
            ("loss", 8),
            ("cosine", 8),
            ("norm", 8),
            ("cosine of one", 14),
            ("variance", 9),
            ("estimated norm", 15)
        );
        foreach (var f in facts)
            table.Row([f.Term, $"{f.Crop}", $"{f.Halo}", .. Values(f).Select(static v => Figures.Significant(v, 3))]);
    }
}
