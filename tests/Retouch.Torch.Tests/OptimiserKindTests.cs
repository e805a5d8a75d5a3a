using Retouch.Torch.Devices;
using Retouch.Torch.Nn;
using Retouch.Torch.Optim;
using Retouch.Torch.Safetensors;

namespace Retouch.Torch.Tests;

/// <summary>
/// Every optimiser against programs of its authors, of PyTorch or from its publication (<c>tests/goldens/optimiser_kinds</c>); its state
/// against its formula, and a continued run against an uninterrupted one.
/// </summary>
public sealed class OptimiserKindTests
{
    private static readonly AdamWOptions Quantised = new()
    {
        Beta2 = 0.95,
        WeightDecay = 0.1,
        DecayOn = DecayedParameters.All,
    };

    private static SafetensorsFile Golden() =>
        SafetensorsFile.Open(Path.Combine(OptimiserTests.FindGoldens(), "optimiser_kinds", "io.safetensors"));

    [Fact]
    public void Adafactor_equals_PyTorchs()
    {
        Check(
            "adafactor",
            static p => new Adafactor(p, new AdafactorOptions { WeightDecay = 0.1, DecayOn = DecayedParameters.All }),
            static _ => 0.01
        );
        Check(
            "adafactor_relative",
            static p => new Adafactor(
                p,
                new AdafactorOptions
                {
                    RelativeStep = true,
                    DecayExponent = 0.7,
                    ClipThreshold = 1.1,
                }
            ),
            static _ => 0.4
        );
    }

    [Fact]
    public void Prodigy_equals_its_authors_program()
    {
        // In float64: the estimate depends on the smallest differences between initial and current weights.
        List<double> estimates = [];
        void Note(Optimiser optimiser, ParameterStore store, int step)
        {
            // The value of a step is that before its update.
            if (step > 0)
                estimates.Add(Assert.Single(optimiser.Figures).Value);
        }

        Check(
            "prodigy",
            static p => new Prodigy(p, new AdamWOptions { Epsilon = 1e-14, DecayOn = DecayedParameters.All }, new ProdigyOptions()),
            static _ => 1,
            Note,
            dtype: DType.Float64
        );
        SameEstimates("prodigy", estimates);
        estimates.Clear();
        Check(
            "prodigy_options",
            static p => new Prodigy(
                p,
                new AdamWOptions
                {
                    Beta1 = 0.8,
                    Beta2 = 0.99,
                    WeightDecay = 0.02,
                    Epsilon = 1e-14,
                    DecayOn = DecayedParameters.All,
                },
                new ProdigyOptions
                {
                    BiasCorrection = true,
                    SafeguardWarmup = true,
                    Start = 1e-4,
                    Factor = 2,
                    Growth = 1.2,
                }
            ),
            static step => step < 3 ? 0.5 : 1,
            Note,
            dtype: DType.Float64
        );
        SameEstimates("prodigy_options", estimates);
    }

    [Fact]
    public void Schedule_free_AdamW_equals_its_authors_program_and_evaluates_the_average()
    {
        using var scope = TensorScope.Enter();
        using var golden = Golden();
        var rates = golden.Read("in.schedule_free.rates").ToArray<double>();
        WeightAverage? average = null;
        try
        {
            Check(
                "schedule_free",
                static p => Free(p),
                step => rates[step],
                (optimiser, store, step) =>
                {
                    Parameter[] parameters = [.. store.Trained];
                    float[][] before = [.. parameters.Select(static p => p.Value.ToArray<float>())];
                    using (optimiser.Evaluate())
                    {
                        foreach (var parameter in parameters)
                            Close(golden, $"schedule_free_x.{parameter.Name}", step, parameter.Value);
                    }

                    Assert.Equal(before, parameters.Select(static p => p.Value.ToArray<float>()));
                    // With decay 0 an average is the sequence that it follows.
                    foreach (var (name, value) in average!.Tensors())
                        Close(golden, $"schedule_free_x.{name}", step, value);
                },
                parameters => average = new WeightAverage(parameters, new WeightAverageOptions { Decay = 0 })
            );
        }
        finally
        {
            average?.Dispose();
        }
    }

    [Fact]
    public void Muon_equals_its_publication()
    {
        var others = new AdamWOptions { WeightDecay = 0.1 };
        Check(
            "muon",
            p => new Muon(p, others, new MuonOptions { Scale = MuonScale.Original, RateFactor = 4 }),
            static _ => 0.005,
            only: ["matrix", "kernel"]
        );
        Check(
            "muon_plain",
            static p => new Muon(p, new AdamWOptions { WeightDecay = 0 }, new MuonOptions { Nesterov = false, Momentum = 0.9 }),
            static _ => 0.005,
            only: ["matrix", "kernel"]
        );
    }

    [Fact]
    public void Muon_trains_other_parameters_with_AdamW()
    {
        using var scope = TensorScope.Enter();
        using var golden = Golden();
        using var store = Store(golden, "in.start.");
        using var alone = Store(golden, "in.start.");
        using var muon = new Muon(store.Trained, new AdamWOptions(), new MuonOptions());
        var vector = alone.Find("vector")!;
        using var adamW = new AdamW([vector], new AdamWOptions());
        for (var step = 0; step < 3; step++)
        {
            SetGradients(store, golden, "in.gradients.", step);
            vector.Value.Grad = golden.Read("in.gradients.vector").Select(0, step);
            muon.Step(0.01, 0.5, []);
            adamW.Step(0.01, 0.5, []);
        }

        Assert.Equal(vector.Value.ToArray<float>(), store.Find("vector")!.Value.ToArray<float>());
    }

    [Fact]
    public void The_map_of_8_bit_states_equals_that_of_bitsandbytes()
    {
        using var scope = TensorScope.Enter();
        using var golden = Golden();
        foreach (var (signed, name) in new[] { (true, "signed"), (false, "unsigned") })
        {
            var (expected, found) = (golden.Read($"out.map.{name}").ToArray<float>(), ByteMap.Values(signed));
            Assert.Equal(256, found.Length);
            // Its boundaries are rounded to float32.
            for (var k = 0; k < expected.Length; k++)
                Assert.Equal(expected[k], found[k], 2e-7 * Math.Abs(found[k]));
        }
    }

    [Fact]
    public void AdamW_with_8_bit_states_equals_its_publication()
    {
        using var scope = TensorScope.Enter();
        using var golden = Golden();
        using var store = Store(golden, "in.adamw8bit.start.");
        using var optimiser = EightBit(store.Trained);
        for (var step = 0; step < 4; step++)
        {
            SetGradients(store, golden, "in.adamw8bit.gradients.", step);
            optimiser.Step(0.01, 1, []);
            foreach (var parameter in store.Trained)
                Close(golden, $"adamw8bit.{parameter.Name}", step, parameter.Value);
        }

        var state = optimiser.State().ToDictionary(StringComparer.Ordinal);
        foreach (var name in store.Trained.Select(static p => p.Name))
        {
            foreach (var (moment, key) in new[] { ("first", "exp_avg"), ("second", "exp_avg_sq") })
            {
                Assert.Equal(golden.Read($"out.adamw8bit.{moment}_codes.{name}").ToArray<byte>(), state[$"{key}.{name}"].ToArray<byte>());
                var (scales, found) = (
                    golden.Read($"out.adamw8bit.{moment}_scales.{name}").ToArray<float>(),
                    state[$"{key}_scale.{name}"].ToArray<float>()
                );
                Assert.Equal(scales.Length, found.Length);
                for (var k = 0; k < scales.Length; k++)
                    Assert.Equal(scales[k], found[k], 1e-6 * scales[k]);
            }
        }
    }

    [Fact]
    public void Small_tensors_have_the_moments_of_AdamW()
    {
        using var scope = TensorScope.Enter();
        using var golden = Golden();
        using var store = Store(golden, "in.start.");
        using var exact = Store(golden, "in.start.");
        using var quantised = new AdamW8Bit(store.Trained, Quantised, new EightBitOptions { Smallest = 541 });
        using var adamW = new AdamW(exact.Trained, Quantised);
        for (var step = 0; step < 5; step++)
        {
            SetGradients(store, golden, "in.gradients.", step);
            SetGradients(exact, golden, "in.gradients.", step);
            quantised.Step(0.01, 1, []);
            adamW.Step(0.01, 1, []);
        }

        double Difference(string name) => (store.Find(name)!.Value - exact.Find(name)!.Value).Abs().Max().Item();
        Assert.True(Difference("kernel") < 1e-6, $"{Difference("kernel")}");
        Assert.True(Difference("vector") < 1e-6, $"{Difference("vector")}");
        Assert.InRange(Difference("matrix"), 1e-6, 5e-3);
        Assert.Equal([DType.Float32], StateOf(quantised, "kernel").Select(static t => t.DType).Distinct());
        Assert.Contains(DType.UInt8, StateOf(quantised, "matrix").Select(static t => t.DType));
    }

    [Fact]
    public void A_step_with_8_bit_states_has_no_float32_copy_of_them()
    {
        using var scope = TensorScope.Enter();
        using var store = new ParameterStore();
        var parameter = store.Root.Parameter("weight", [2048, 4096], Inits.Zeros);
        using var generator = Generator.Create(Device.Cpu, 3);
        store.Initialise(generator, Device.Cpu);
        var copy = parameter.Count * sizeof(float);
        HostBlocks.Reuse(true);
        try
        {
            parameter.Value.Grad = Ops.Randn(parameter.Shape, generator);
            using var optimiser = new AdamW8Bit([parameter], new AdamWOptions(), new EightBitOptions());
            Assert.Equal((2 * parameter.Count) + (parameter.Count / 256 * 8), optimiser.StateBytes);
            optimiser.Step(0.01, 1, []);
            var before = Ops.HostMemory(true).ToArray<long>()[0];
            optimiser.Step(0.01, 1, []);
            var added = Ops.HostMemory(false).ToArray<long>()[1] - before;
            Assert.True(added < copy / 4, $"{added} bytes, float32 moments have {2 * copy}");
        }
        finally
        {
            HostBlocks.Reuse(false);
        }
    }

    public static TheoryData<string> Kinds => ["adamw", "adamw8bit", "adafactor", "prodigy", "schedule-free", "muon"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_continued_run_has_the_same_bits(string kind)
    {
        using var scope = TensorScope.Enter();
        using var golden = Golden();
        using var whole = Store(golden, "in.start.");
        using var part = Store(golden, "in.start.");
        using var optimiser = Make(kind, whole.Trained);
        Take(whole, optimiser, golden, 0, 9);
        using (var first = Make(kind, part.Trained))
        {
            Take(part, first, golden, 0, 4);
            using var second = Make(kind, part.Trained);
            second.LoadState(new Kept(first.State()), first.Steps);
            Assert.Equal(4, second.Steps);
            Take(part, second, golden, 4, 9);
            Same(Bits(optimiser.State()), Bits(second.State()));
        }

        Same(Bits(whole.Tensors()), Bits(part.Tensors()));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_size_of_the_state_follows_from_shapes(string kind)
    {
        using var scope = TensorScope.Enter();
        using var golden = Golden();
        using var store = Store(golden, "in.start.");
        using var optimiser = Make(kind, store.Trained);
        var parameters = store.Trained.ToList();
        var expected = kind switch
        {
            "adamw8bit" => parameters.Sum(static p => AdamW8Bit.BytesOf(p, new EightBitOptions { Block = 64, Smallest = 50 })),
            "adafactor" => parameters.Sum(Adafactor.BytesOf),
            "prodigy" => parameters.Sum(Prodigy.BytesOf) + Prodigy.FixedBytes,
            "schedule-free" => parameters.Sum(ScheduleFree.BytesOf) + ScheduleFree.FixedBytes,
            "muon" => parameters.Sum(Muon.BytesOf),
            _ => parameters.Sum(AdamW.BytesOf),
        };
        Assert.Equal(expected, optimiser.StateBytes);
        // Shapes of the goldens: 24 × 40, 12 × 45, 40.
        Assert.Equal(
            kind switch
            {
                "adamw8bit" => (2 * (960 + 540 + (4 * (15 + 9)))) + (8 * 40),
                "adafactor" => 4 * (24 + 40 + 12 + 45 + 40),
                "prodigy" => (16 * 1540) + 24,
                "schedule-free" => (8 * 1540) + 16,
                "muon" => (4 * 1500) + (8 * 40),
                _ => 8 * 1540,
            },
            expected
        );
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Weights_and_states_that_are_not_finite_are_found(string kind)
    {
        using var scope = TensorScope.Enter();
        using var golden = Golden();
        using var store = Store(golden, "in.start.");
        using var optimiser = Make(kind, store.Trained);
        Take(store, optimiser, golden, 0, 2);
        Assert.True(optimiser.IsFinite());
        var state = optimiser.State().Select(static s => s.Value).First(static s => s.DType == DType.Float32);
        state.View([-1]).Narrow(0, 0, 1).FillInPlace(double.PositiveInfinity);
        Assert.False(optimiser.IsFinite());
    }

    private static AdamW8Bit EightBit(IEnumerable<Parameter> parameters) =>
        new(parameters, Quantised, new EightBitOptions { Block = 64, Smallest = 0 });

    private static ScheduleFree Free(IEnumerable<Parameter> parameters) =>
        new(
            parameters,
            new AdamWOptions
            {
                Beta2 = 0.99,
                WeightDecay = 0.1,
                DecayOn = DecayedParameters.All,
            }
        );

    private static Optimiser Make(string kind, IEnumerable<Parameter> parameters) =>
        kind switch
        {
            "adamw8bit" => new AdamW8Bit(parameters, new AdamWOptions(), new EightBitOptions { Block = 64, Smallest = 50 }),
            "adafactor" => new Adafactor(parameters, new AdafactorOptions { RelativeStep = true }),
            "prodigy" => new Prodigy(parameters, new AdamWOptions(), new ProdigyOptions()),
            "schedule-free" => Free(parameters),
            "muon" => new Muon(parameters, new AdamWOptions(), new MuonOptions()),
            _ => new AdamW(parameters, new AdamWOptions()),
        };

    /// <summary>Steps of a golden, with comparisons after each one.</summary>
    private static void Check(
        string entry,
        Func<IEnumerable<Parameter>, Optimiser> make,
        Func<int, double> rate,
        Action<Optimiser, ParameterStore, int>? after = null,
        Func<IEnumerable<Parameter>, WeightAverage>? average = null,
        string[]? only = null,
        DType dtype = DType.Float32
    )
    {
        using var scope = TensorScope.Enter();
        using var golden = Golden();
        using var store = Store(golden, "in.start.", dtype);
        using var optimiser = make(store.Trained);
        WeightAverage[] averages = average is null ? [] : [average(store.Trained)];
        for (var step = 0; step < 12; step++)
        {
            using var inner = TensorScope.Enter();
            SetGradients(store, golden, "in.gradients.", step, 2);
            optimiser.Step(rate(step), 0.5, averages);
            foreach (var parameter in store.Trained.Where(p => only is null || only.Contains(p.Name)))
                Close(golden, $"{entry}.{parameter.Name}", step, parameter.Value);
            after?.Invoke(optimiser, store, step);
        }
    }

    private static void Take(ParameterStore store, Optimiser optimiser, SafetensorsFile golden, int from, int to)
    {
        for (var step = from; step < to; step++)
        {
            using var scope = TensorScope.Enter();
            SetGradients(store, golden, "in.gradients.", step);
            optimiser.Step(0.01, 0.7, []);
        }
    }

    private static ParameterStore Store(SafetensorsFile golden, string prefix, DType dtype = DType.Float32)
    {
        var store = new ParameterStore();
        string[] names = ["matrix", "kernel", "vector"];
        foreach (var name in names)
            store.Root.Parameter(name, golden.ShapeOf(prefix + name), Inits.Zeros);
        store.Load(
            new RenamedTensors(golden, names.Select(n => KeyValuePair.Create(n, new TensorOrigin(prefix + n)))),
            Device.Cpu,
            dtype,
            "golden"
        );
        return store;
    }

    private static void SetGradients(ParameterStore store, SafetensorsFile golden, string prefix, int step, double factor = 1)
    {
        using var scope = TensorScope.Enter();
        foreach (var parameter in store.Trained)
            parameter.Value.Grad = (golden.Read(prefix + parameter.Name).Select(0, step) * factor).To(parameter.Value.DType);
    }

    private static void SameEstimates(string entry, List<double> found)
    {
        using var scope = TensorScope.Enter();
        using var golden = Golden();
        var expected = golden.Read($"out.{entry}.d").ToArray<double>();
        Assert.True(expected[^1] > 2 * expected[0], "the golden's estimate does not grow");
        Assert.Equal(expected.Length - 1, found.Count);
        for (var k = 0; k < found.Count; k++)
            Assert.Equal(expected[k], found[k], 1e-9 * expected[k]);
    }

    private static void Close(SafetensorsFile golden, string name, int step, Tensor found)
    {
        using var scope = TensorScope.Enter();
        var expected = golden.Read("out." + name).Select(0, step).ToArray<float>();
        var values = found.To(DType.Float32).ToArray<float>();
        Assert.Equal(expected.Length, values.Length);
        for (var k = 0; k < values.Length; k++)
            Assert.True(Math.Abs(expected[k] - values[k]) <= 2e-6, $"{name} [{k}] after step {step}: {expected[k]:R}, not {values[k]:R}");
    }

    private static Tensor[] StateOf(Optimiser optimiser, string name) =>
        [.. optimiser.State().Where(s => s.Key.EndsWith("." + name, StringComparison.Ordinal)).Select(static s => s.Value)];

    private static Dictionary<string, byte[]> Bits(IEnumerable<KeyValuePair<string, Tensor>> tensors) =>
        tensors.ToDictionary(static t => t.Key, static t => t.Value.View([-1]).View(DType.UInt8).ToArray<byte>(), StringComparer.Ordinal);

    private static void Same(Dictionary<string, byte[]> expected, Dictionary<string, byte[]> found)
    {
        Assert.Equal(expected.Keys, found.Keys);
        foreach (var (name, bits) in expected)
            Assert.True(bits.AsSpan().SequenceEqual(found[name]), name);
    }

    /// <summary>A state as a checkpoint holds it.</summary>
    private sealed class Kept(IEnumerable<KeyValuePair<string, Tensor>> tensors) : ITensorSource
    {
        private readonly Dictionary<string, Tensor> _tensors = tensors.ToDictionary(StringComparer.Ordinal);

        public IEnumerable<string> Names => _tensors.Keys;

        public long[] ShapeOf(string name) => _tensors[name].Shape;

        public DType DTypeOf(string name) => _tensors[name].DType;

        public Tensor Read(string name) => _tensors[name].Clone();
    }
}
