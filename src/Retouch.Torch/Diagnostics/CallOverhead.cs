using System.Diagnostics;
using Retouch.Torch.Interop;

namespace Retouch.Torch.Diagnostics;

/// <summary>Overhead of a boxed operator call from managed code, compared with a C++ loop.</summary>
/// <param name="Operator">Operator name.</param>
/// <param name="ManagedNanoseconds">Median time per call through <see cref="Ops"/> over rounds, with results freed every
/// <see cref="Held"/> calls.</param>
/// <param name="NativeNanoseconds">Median time of the same boxed call in a loop of the shim over rounds, with results freed in the same
/// batches.</param>
/// <param name="Ratio">Median of the per-round ratio of managed to native time.</param>
public sealed record CallOverhead(string Operator, double ManagedNanoseconds, double NativeNanoseconds, double Ratio)
{
    /// <summary>Results held before they are freed: about the number of tensors in a network block.</summary>
    public const int Held = 100;

    /// <summary>
    /// Measures operators of different signatures in alternating rounds, so that drift of the machine's speed cancels out.
    /// </summary>
    /// <param name="calls">Calls per round.</param>
    /// <param name="rounds">Number of rounds.</param>
    public static IReadOnlyList<CallOverhead> Measure(int calls = 20_000, int rounds = 15)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var a = Ops.Ones([4L, 8]);
        var b = Ops.Ones([4L, 8]);
        var w = Ops.Ones([8L, 8]);
        var image = Ops.Ones([1L, 4, 8, 8]);
        var kernel = Ops.Ones([4L, 4, 3, 3]);
        return [Add(a, b, calls, rounds), Linear(a, w, calls, rounds), Conv(image, kernel, calls, rounds)];
    }

    private static unsafe CallOverhead Add(Tensor a, Tensor b, int calls, int rounds)
    {
        var arguments = stackalloc Value[] { Value.Of(a), Value.Of(b), Value.Default };
        var native = new Pointer(arguments);
        var handle = new OperatorHandle("aten::add", "Tensor");
        return Compare("aten::add.Tensor [4, 8]", () => a.Add(b), n => handle.InvokeNatively(native.Value, 3, n, Held), calls, rounds);
    }

    private static unsafe CallOverhead Linear(Tensor a, Tensor w, int calls, int rounds)
    {
        var arguments = stackalloc Value[] { Value.Of(a), Value.Of(w), default };
        var native = new Pointer(arguments);
        var handle = new OperatorHandle("aten::linear", "");
        return Compare(
            "aten::linear [4, 8] × [8, 8]",
            () => a.Linear(w),
            n => handle.InvokeNatively(native.Value, 3, n, Held),
            calls,
            rounds
        );
    }

    private static unsafe CallOverhead Conv(Tensor image, Tensor kernel, int calls, int rounds)
    {
        var ones = stackalloc long[] { 1, 1 };
        var arguments = stackalloc Value[]
        {
            Value.Of(image),
            Value.Of(kernel),
            default,
            Value.Of(ones, 2, true),
            Value.Of(ones, 2, true),
            Value.Of(ones, 2, true),
            Value.Of(1L),
        };
        var native = new Pointer(arguments);
        var handle = new OperatorHandle("aten::conv2d", "");
        return Compare(
            "aten::conv2d [1, 4, 8, 8], 3×3",
            () => image.Conv2d(kernel, null, [1L, 1], [1L, 1], [1L, 1], 1),
            n => handle.InvokeNatively(native.Value, 7, n, Held),
            calls,
            rounds
        );
    }

    private static CallOverhead Compare(string name, Func<Tensor> managed, Action<long> native, int calls, int rounds)
    {
        RunManaged(managed, calls);
        native(calls);
        var ours = new double[rounds];
        var theirs = new double[rounds];
        for (var round = 0; round < rounds; round++)
        {
            var start = Stopwatch.GetTimestamp();
            RunManaged(managed, calls);
            ours[round] = Stopwatch.GetElapsedTime(start).TotalNanoseconds / calls;
            start = Stopwatch.GetTimestamp();
            native(calls);
            theirs[round] = Stopwatch.GetElapsedTime(start).TotalNanoseconds / calls;
        }

        return new CallOverhead(name, Median(ours), Median(theirs), Median([.. ours.Zip(theirs, static (x, y) => x / y)]));
    }

    private static void RunManaged(Func<Tensor> managed, int calls)
    {
        for (var done = 0; done < calls; done += Held)
        {
            using var scope = TensorScope.Enter();
            for (var k = done; k < Math.Min(done + Held, calls); k++)
                _ = managed();
        }
    }

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return values[values.Length / 2];
    }

    /// <summary>Captures a stack pointer in a lambda that does not outlive the stack frame.</summary>
    private readonly unsafe struct Pointer(Value* value)
    {
        public Value* Value { get; } = value;
    }
}
