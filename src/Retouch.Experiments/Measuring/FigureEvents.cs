using System.Globalization;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Statistics;
using Retouch.Training.Telemetry;

namespace Retouch.Experiments.Measuring;

/// <summary>Figures of one set or arm.</summary>
/// <param name="Name">Name in tables.</param>
/// <param name="Step">Training steps of the model; 0 if unknown.</param>
/// <param name="Figures">Names, values and intervals.</param>
public sealed record FigureRun(string Name, long Step, IReadOnlyList<(string Name, double Value, Interval Interval)> Figures);

/// <summary>Figures for TensorBoard: one run per set or arm, with value and interval bounds under separate tags.</summary>
public static class FigureEvents
{
    /// <summary>Name of the folder next to a report.</summary>
    public const string FolderName = "tensorboard";

    /// <summary>Writes the runs and replaces those of an earlier report.</summary>
    /// <param name="runs">Runs.</param>
    /// <param name="folder">Folder of the report.</param>
    /// <param name="time">Clock of the events.</param>
    /// <returns>Log folder for TensorBoard.</returns>
    public static string Write(IReadOnlyList<FigureRun> runs, string folder, TimeProvider time)
    {
        var root = Path.Combine(folder, FolderName);
        for (var k = 0; k < runs.Count; k++)
        {
            var target = Path.Combine(root, string.Create(CultureInfo.InvariantCulture, $"{k + 1:00}-{ReportWriter.Slug(runs[k].Name)}"));
            if (Directory.Exists(target))
            {
                foreach (var earlier in Directory.EnumerateFiles(target, "events.out.tfevents.*"))
                    File.Delete(earlier);
            }

            using var writer = TensorBoardWriter.Create(target, time);
            writer.Text(runs[k].Step, "name", runs[k].Name);
            writer.Scalars(
                runs[k].Step,
                runs[k]
                    .Figures.SelectMany(static f =>
                        (KeyValuePair<string, double>[])
                            [
                                new($"figures/{f.Name}", f.Value),
                                new($"interval, low end/{f.Name}", f.Interval.Low),
                                new($"interval, high end/{f.Name}", f.Interval.High),
                            ]
                    )
            );
        }

        return root;
    }
}
