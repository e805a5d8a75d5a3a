using System.Globalization;
using System.Text.Json.Nodes;
using Retouch.Core.Formatting;
using Retouch.Denoisers.UNet;
using Retouch.Tests.Goldens;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Options;

/// <summary>Sizes in docs/optimisers.md, from the shapes of SDXL's U-Net.</summary>
public sealed class OptimiserPageTests
{
    [Fact]
    public void The_table_states_the_sizes_of_all_kinds()
    {
        var manifest = Manifest.Open("sdxl_unet");
        using var network = new UNet2DCondition(UNet2DConditionConfig.FromJson(manifest.Config, "test"));
        var parameters = network.Parameters.Trained.ToList();
        var rows = File.ReadLines(Path.Combine(GoldenCase.Root(), "..", "..", "docs", "optimisers.md"))
            .Where(static line =>
                line.StartsWith("| `", StringComparison.Ordinal) && !line.Contains("optimiser.kind", StringComparison.Ordinal)
            )
            .ToList();
        Assert.Equal(9, rows.Count);
        foreach (var cells in rows.Select(static r => Array.ConvertAll(r.Split('|'), static c => c.Trim())))
        {
            var names = cells[1].Split('`');
            var optimiser = new JsonObject { ["kind"] = names[1] };
            if (names.Length > 3)
                optimiser["weights"] = names[5];
            var options = OptionsFile.Bind<TrainingOptions>(new JsonObject { ["optimiser"] = optimiser }, "test").Optimiser;
            var state = options.StateBytes(parameters);
            var all = (2 * options.WeightBytes(parameters)) + state;
            Assert.Equal(cells[4], Figures.Bytes(all));
            // Per weight, without the small tensors that have other types or states.
            Assert.Equal(Number(cells[3]), (double)all / network.Parameters.Count, 0.02);
            if (char.IsAsciiDigit(cells[2][0]))
                Assert.Equal(Number(cells[2]), (double)state / network.Parameters.Count, 0.02);
            else
                Assert.InRange((double)state / network.Parameters.Count, 0, 0.01);
        }
    }

    private static double Number(string cell) => double.Parse(cell.Split(' ')[0], CultureInfo.InvariantCulture);
}
