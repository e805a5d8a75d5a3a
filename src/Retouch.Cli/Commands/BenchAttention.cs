using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Torch.Nn;

namespace Retouch.Cli.Commands;

/// <summary>
/// <c>retouch bench attention</c>: an attention layer of any size, compared with the explicit formula and its full score matrix.
/// </summary>
internal static class BenchAttention
{
    private sealed record Cost(string Way, double Seconds, long PeakBytes);

    private sealed record Compared(IReadOnlyList<Cost> Costs, double LargestDifference);

    public static Command Create()
    {
        var side = SharedOptions.Number("--latent", 64, new() { AtLeast = 1 }, "Side of the latents; each position is a token.");
        var heads = SharedOptions.Number("--heads", 8, new() { AtLeast = 1 }, "Heads.");
        var width = SharedOptions.Number("--head-width", 40, new() { AtLeast = 1 }, "Width per head.");
        var batch = SharedOptions.BatchSize(1, "Batch size.");
        var rounds = SharedOptions.Number("--rounds", 3, new() { AtLeast = 1 }, "Number of rounds; the fastest is reported.");
        var gradient = new Option<bool>("--gradient") { Description = "Run the backward pass, too." };
        var command = new Command("attention", "Measure the networks' self-attention, compared with the explicit formula.")
        {
            side,
            heads,
            width,
            batch,
            rounds,
            gradient,
            SharedOptions.Device,
        };
        command.SetAction(parsed =>
        {
            var tokens = (long)parsed.GetValue(side) * parsed.GetValue(side);
            var result = Measure(
                [parsed.GetValue(batch), parsed.GetValue(heads), tokens, parsed.GetValue(width)],
                parsed.GetValue(rounds),
                parsed.GetValue(gradient),
                parsed.GetDevice()
            );
            Output
                .For(parsed)
                .Write(
                    result,
                    writer =>
                    {
                        foreach (var cost in result.Costs)
                            writer.WriteLine(
                                string.Create(
                                    CultureInfo.InvariantCulture,
                                    $"{cost.Way, -16} {cost.Seconds, 8:0.000} s, peak {cost.PeakBytes / 1e6, 8:0.0} MB above its inputs"
                                )
                            );
                        writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"largest difference {result.LargestDifference:G3}"));
                    }
                );
            return 0;
        });
        return command;
    }

    private static Compared Measure(long[] shape, int rounds, bool gradient, Device device)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 1);
        Tensor[] inputs = [.. Enumerable.Range(0, 3).Select(_ => Ops.Randn(shape, generator).To(device))];
        foreach (var input in inputs)
            input.RequiresGrad = gradient;
        var cotangent = Ops.Randn(shape, generator).To(device);
        (string Way, Func<Tensor[], Tensor> Attention)[] ways =
        [
            ("Retouch", static x => Attention.ScaledDotProduct(x[0], x[1], x[2])),
            ("formula", static x => (x[0] * (1 / Math.Sqrt(x[0].Shape[^1]))).Matmul(x[1].Transpose(-2, -1)).Softmax(-1).Matmul(x[2])),
        ];
        var costs = ways.Select(static w => new Cost(w.Way, double.PositiveInfinity, 0)).ToArray();
        var difference = 0.0;
        // Implementations alternate, so that other load affects both equally.
        for (var round = 0; round < rounds; round++)
        {
            using var inner = TensorScope.Enter();
            var results = new Tensor[ways.Length][];
            for (var k = 0; k < ways.Length; k++)
            {
                (results[k], var seconds, var peak) = Run(inputs, cotangent, ways[k].Attention);
                costs[k] = costs[k] with { Seconds = Math.Min(costs[k].Seconds, seconds), PeakBytes = Math.Max(costs[k].PeakBytes, peak) };
            }

            difference = Math.Max(difference, results[0].Zip(results[1], static (a, b) => (a - b).Abs().Max().Item()).Max());
        }

        return new Compared(costs, difference);
    }

    private static (Tensor[] Results, double Seconds, long PeakBytes) Run(
        Tensor[] inputs,
        Tensor cotangent,
        Func<Tensor[], Tensor> attention
    )
    {
        using var scope = TensorScope.Enter();
        var device = inputs[0].Device;
        var before = MemoryInUse(device).Now;
        device.Synchronize();
        var watch = Stopwatch.StartNew();
        var output = attention(inputs);
        Tensor?[] gradients = inputs[0].RequiresGrad ? Autograd.Grad([output], inputs, [cotangent]) : [];
        device.Synchronize();
        var seconds = watch.Elapsed.TotalSeconds;
        var peak = MemoryInUse(device).Peak - before;
        return ([.. gradients.Select(static g => g!).Prepend(output.Detach()).Select(scope.Keep)], seconds, peak);
    }

    /// <summary>Current bytes of tensors, and the peak since the last call.</summary>
    private static (long Now, long Peak) MemoryInUse(Device device)
    {
        if (DeviceMemory.ResetPeak(device) is { } memory)
            return (memory.Allocated ?? 0, memory.Peak ?? 0);
        using var scope = TensorScope.Enter();
        var figures = Ops.HostMemory(true).ToArray<long>();
        return (figures[0], figures[1]);
    }
}
