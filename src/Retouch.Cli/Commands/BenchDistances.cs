using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch bench distances</c>: cost of precision, recall, density and coverage of large tables.</summary>
internal static class BenchDistances
{
    /// <summary>Result of the measurement.</summary>
    private sealed record Cost(
        int Images,
        int Reference,
        int Width,
        int Neighbours,
        double Seconds,
        long PeakBytes,
        long TableBytes,
        double Precision,
        double Recall,
        double Density,
        double Coverage
    );

    public static Command Create()
    {
        var file = new Option<string?>("--features")
        {
            Description = "Tables to compare instead of random ones: a .safetensors file with 'real' and 'fake' [rows, width], float32.",
        };
        var rows = SharedOptions.Number("--rows", 10_000, new() { AtLeast = 2 }, "Rows of each random table.");
        var width = SharedOptions.Number("--width", 2048, new() { AtLeast = 1 }, "Width of the features.");
        var neighbours = SharedOptions.Number("--neighbours", 5, new() { AtLeast = 1 }, "k.");
        var command = new Command("distances", "Measure time and memory of precision, recall, density and coverage of two feature tables.")
        {
            file,
            rows,
            width,
            neighbours,
            SharedOptions.Device,
        };
        command.SetAction(
            (parsed, cancellation) =>
            {
                using var scope = TensorScope.Enter();
                var (images, reference) = parsed.GetValue(file) is { } path
                    ? Read(path)
                    : Random(parsed.GetValue(rows), parsed.GetValue(width));
                using (images)
                using (reference)
                {
                    var options = new PrecisionRecallOptions { Neighbours = parsed.GetValue(neighbours) };
                    var device = parsed.GetDevice();
                    var clock = Stopwatch.StartNew();
                    var found = PrecisionRecall.Between(images, reference, options, device, cancellation);
                    device.Synchronize();
                    var seconds = clock.Elapsed.TotalSeconds;
                    using var process = Process.GetCurrentProcess();
                    var cost = new Cost(
                        images.Count,
                        reference.Count,
                        images.Width,
                        options.Neighbours,
                        seconds,
                        process.PeakWorkingSet64,
                        4L * images.Width * (images.Count + reference.Count),
                        found.Precision,
                        found.Recall,
                        found.Density,
                        found.Coverage
                    );
                    Output
                        .For(parsed)
                        .Write(
                            cost,
                            writer =>
                            {
                                writer.WriteLine(
                                    string.Create(
                                        CultureInfo.InvariantCulture,
                                        $"{cost.Images} x {cost.Reference} rows of {cost.Width}, k {cost.Neighbours}: "
                                            + $"{cost.Seconds:0.00} s; peak {cost.PeakBytes >> 20} MiB, including tables of "
                                            + $"{cost.TableBytes >> 20} MiB"
                                    )
                                );
                                writer.WriteLine(
                                    string.Create(
                                        CultureInfo.InvariantCulture,
                                        $"precision {cost.Precision:R}  recall {cost.Recall:R}  density {cost.Density:R}  "
                                            + $"coverage {cost.Coverage:R}"
                                    )
                                );
                            }
                        );
                }

                return Task.FromResult(0);
            }
        );
        return command;
    }

    private static (FeatureRows Images, FeatureRows Reference) Read(string path)
    {
        using var source = SafetensorsFile.Open(path);
        FeatureRows Table(string name) =>
            source.ShapeOf(name) is [>= 1 and <= int.MaxValue, >= 1 and <= int.MaxValue]
                ? FeatureRows.Of(source.Read(name))
                : throw new InputException($"'{name}' in '{path}' is not a table of features [rows, width].");
        return (Table("fake"), Table("real"));
    }

    // Similar to the features of a network that ends in a ReLU: non-negative, with a common mean, correlated in a few directions.
    private static (FeatureRows Images, FeatureRows Reference) Random(int rows, int width)
    {
        using var generator = Generator.Create(Device.Cpu, 1);
        var mixing = Ops.Randn([Math.Min(64, width), width], generator);
        FeatureRows Table(double shift)
        {
            var table = new FeatureRows(rows, width);
            const int Part = 1000;
            for (var start = 0; start < rows; start += Part)
            {
                using var scope = TensorScope.Enter();
                var count = Math.Min(Part, rows - start);
                table.Put(
                    start,
                    (
                        (Ops.Randn([count, mixing.Shape[0]], generator) + shift).Matmul(mixing) * 0.05
                        + (Ops.Randn([count, width], generator) * 0.2)
                        + 0.3
                    ).Relu()
                );
            }

            return table;
        }

        return (Table(0.1), Table(0));
    }
}
