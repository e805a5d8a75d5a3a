using System.CommandLine;
using System.Globalization;
using Retouch.Torch;
using Retouch.Torch.Diagnostics;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch bench</c>: cost of operator calls and training steps on this machine.</summary>
internal static class BenchCommand
{
    /// <summary>Threads of a benchmark.</summary>
    internal static readonly Option<int> Threads = SharedOptions.Number(
        "--threads",
        0,
        new() { AtLeast = 0 },
        "CPU threads of operators; 0: one per core."
    );

    public static Command Create() =>
        new("bench", "Measure the cost of calls into libtorch and of training steps.")
        {
            CreateOps(),
            new BenchStep().Create(),
            BenchDistances.Create(),
            BenchAttention.Create(),
            BenchLoad.CreateWeights(),
            BenchLoad.CreateLoad(),
        };

    private static Command CreateOps()
    {
        var calls = SharedOptions.Number("--calls", 20_000, new() { AtLeast = 1 }, "Number of calls per round.");
        var rounds = SharedOptions.Number("--rounds", 15, new() { AtLeast = 1 }, "Number of rounds per side, in alternation.");
        var command = new Command("ops", "Measure operator calls from C#, compared with the same boxed calls in a C++ loop.")
        {
            calls,
            rounds,
            Threads,
        };
        command.SetAction(parsed =>
        {
            UseThreads(parsed);
            var results = CallOverhead.Measure(parsed.GetValue(calls), parsed.GetValue(rounds));
            Output
                .For(parsed)
                .Write(
                    results,
                    writer =>
                    {
                        foreach (var r in results)
                            writer.WriteLine(
                                string.Create(
                                    CultureInfo.InvariantCulture,
                                    $"{r.Operator, -32} C# {r.ManagedNanoseconds, 7:0} ns, C++ {r.NativeNanoseconds, 7:0} ns, "
                                        + $"ratio {r.Ratio:0.00}"
                                )
                            );
                    }
                );
            return 0;
        });
        return command;
    }

    /// <summary>Applies <see cref="Threads"/>.</summary>
    internal static void UseThreads(ParseResult parsed)
    {
        if (parsed.GetValue(Threads) is > 0 and var n)
            TorchRuntime.Threads = n;
    }
}
