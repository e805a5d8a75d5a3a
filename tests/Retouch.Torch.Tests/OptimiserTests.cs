using Retouch.Torch.Nn;
using Retouch.Torch.Optim;
using Retouch.Torch.Safetensors;

namespace Retouch.Torch.Tests;

/// <summary>The optimiser against PyTorch and diffusers, and against formulas in float64.</summary>
public sealed class OptimiserTests
{
    private static readonly string Goldens = FindGoldens();

    [Theory]
    [InlineData(DecayedParameters.Matrices, 0.98, 1, 1)]
    [InlineData(DecayedParameters.All, 0.98, 0.98, 0.98)]
    public void Weight_decay_applies_to_the_selected_parameters(DecayedParameters on, double matrix, double vector, double table)
    {
        using var scope = TensorScope.Enter();
        using var store = new ParameterStore();
        var weight = store.Root.Parameter("weight", [2, 3], Inits.Ones);
        var bias = store.Root.Parameter("bias", [3], Inits.Ones);
        _ = new Embedding(store.Root / "classes", 2, 3, Inits.Ones);
        using var generator = Generator.Create(Device.Cpu, 1);
        store.Initialise(generator, Device.Cpu);
        store.RequireGrad(true);
        using var optimiser = new AdamW(store.Trained, new AdamWOptions { WeightDecay = 0.2, DecayOn = on });
        using var average = new WeightAverage(store.Trained, new WeightAverageOptions { Decay = 0.5 });
        // Without gradients only weight decay acts.
        optimiser.Step(0.1, 1, [average]);
        foreach (var (name, expected) in new[] { ("weight", matrix), ("bias", vector), ("classes.weight", table) })
        {
            Assert.All(store.Trained.Single(p => p.Name == name).Value.ToArray<float>(), v => Assert.Equal(expected, v, 1e-6));
            Assert.All(average.Tensors().Single(t => t.Key == name).Value.ToArray<float>(), v => Assert.Equal((1 + expected) / 2, v, 1e-6));
        }
    }

    [Theory]
    [InlineData("adamw", 0.01, 0.999, 1e-8, 0.01, 0.0, 0L, 0.9999, AverageWarmup.Ratio, 1.0, 2.0 / 3)]
    [InlineData("adamw_warm_clip", 0.02, 0.95, 1e-6, 0.1, 0.5, 4L, 0.8, AverageWarmup.Power, 1.0, 0.75)]
    public void Ten_steps_equal_the_golden(
        string name,
        double rate,
        double beta2,
        double eps,
        double decay,
        double clip,
        long warmup,
        double ema,
        AverageWarmup averageWarmup,
        double gamma,
        double power
    )
    {
        using var scope = TensorScope.Enter();
        using var golden = SafetensorsFile.Open(Path.Combine(Goldens, "optimisers", "io.safetensors"));
        using var store = new ParameterStore();
        var keys = new[] { "W1", "b1", "W2" };
        var parameters = keys.Select(k => store.Root.Parameter(k, golden.ShapeOf($"in.{k}"), Inits.Zeros)).ToArray();
        store.Load(
            new RenamedTensors(golden, keys.Select(static k => KeyValuePair.Create(k, new TensorOrigin($"in.{k}")))),
            Device.Cpu,
            null,
            "golden"
        );
        store.RequireGrad(true);
        using var optimiser = new AdamW(
            parameters,
            new AdamWOptions
            {
                Beta2 = beta2,
                Epsilon = eps,
                WeightDecay = decay,
                DecayOn = DecayedParameters.All,
            }
        );
        using var average = new WeightAverage(
            parameters,
            new WeightAverageOptions
            {
                Decay = ema,
                Warmup = averageWarmup,
                InverseGamma = gamma,
                Power = power,
            }
        );
        var schedule = new LearningRateSchedule { Shape = LearningRateShape.Constant, WarmupSteps = warmup };
        var losses = new List<double>();
        var rates = new List<double>();
        var norms = new List<double>();
        var decays = new List<double>();
        for (var step = 0; step < 10; step++)
        {
            var x = golden.Read("in.X").Select(0, step);
            var hidden = x.Linear(parameters[0].Value, parameters[1].Value).Tanh();
            var loss = (hidden.Linear(parameters[2].Value) - golden.Read("in.Y").Select(0, step)).Square().Mean();
            optimiser.ZeroGrad();
            Autograd.Backward(loss);
            var norm = optimiser.GradientNorm();
            losses.Add(loss.Item());
            norms.Add(norm);
            rates.Add(rate * schedule.Multiplier(step, 10, rate));
            decays.Add(average.DecayAt(step + 1));
            optimiser.Step(rates[^1], clip > 0 ? Math.Min(1, clip / (norm + 1e-6)) : 1, [average]);
            for (var k = 0; k < keys.Length; k++)
            {
                Close(golden.Read($"out.{name}.{keys[k]}").Select(0, step), parameters[k].Value, 1.5e-5, $"{keys[k]} at {step}");
                Close(
                    golden.Read($"out.{name}.ema_{keys[k]}").Select(0, step),
                    average.Tensors().ElementAt(k).Value,
                    1.5e-5,
                    $"average of {keys[k]} at {step}"
                );
            }
        }

        Close(golden.Read($"out.{name}.loss"), Tensor.From([.. losses]), 3.7e-5, "loss");
        Close(golden.Read($"out.{name}.lr"), Tensor.From([.. rates]), 1e-6, "rate");
        Close(golden.Read($"out.{name}.grad_norm"), Tensor.From([.. norms]), 3.1e-5, "gradient norm");
        Close(golden.Read($"out.{name}.ema_decay"), Tensor.From([.. decays]), 1e-5, "decay");
    }

    [Theory]
    [InlineData("constant", LearningRateShape.Constant, 0, 0, 1.0)]
    [InlineData("constant_with_warmup", LearningRateShape.Constant, 5, 0, 1.0)]
    [InlineData("linear", LearningRateShape.Linear, 4, 20, 1.0)]
    [InlineData("cosine", LearningRateShape.Cosine, 4, 20, 1.0)]
    [InlineData("polynomial", LearningRateShape.Polynomial, 3, 15, 2.0)]
    public void Schedules_equal_the_golden(string name, LearningRateShape shape, long warmup, long total, double power)
    {
        using var scope = TensorScope.Enter();
        using var golden = SafetensorsFile.Open(Path.Combine(Goldens, "lr_schedules", "io.safetensors"));
        var expected = golden.Read($"out.{name}");
        var schedule = new LearningRateSchedule
        {
            Shape = shape,
            WarmupSteps = warmup,
            Power = power,
        };
        Close(
            expected,
            Tensor.From(Enumerable.Range(0, (int)expected.Count).Select(k => schedule.Multiplier(k, total, 1)).ToArray()),
            2e-5,
            name
        );
    }

    [Theory]
    [InlineData(DType.Float64, 1e-13)]
    [InlineData(DType.Float32, 3e-6)]
    public void Every_implementation_equals_the_formula_on_tensors_longer_than_a_chunk(DType dtype, double tolerance)
    {
        foreach (var kernel in Enum.GetValues<UpdateKernel>())
        {
            if (kernel != UpdateKernel.Fused || FusedRunsHere)
                CheckSteps(kernel, dtype, tolerance);
        }
    }

    /// <summary>libtorch's fused operator has a kernel for CPUs since 2.4.</summary>
    private static bool FusedRunsHere => AdamW.HasFused && System.Version.Parse(TorchRuntime.Version.Split('+')[0]) >= new Version(2, 4);

    private static void CheckSteps(UpdateKernel kernel, DType dtype, double tolerance)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 11);
        using var store = new ParameterStore();
        var parameters = new[] { store.Root.Parameter("a", [70_001], Inits.Normal(1)), store.Root.Parameter("b", [3], Inits.Normal(1)) };
        store.Initialise(generator, Device.Cpu, dtype);
        using var optimiser = new AdamW(parameters, new AdamWOptions { WeightDecay = 0.1, DecayOn = DecayedParameters.All }, kernel);
        using var slow = new WeightAverage(parameters, new WeightAverageOptions { Decay = 0.9 });
        using var fast = new WeightAverage(parameters, new WeightAverageOptions { Decay = 0.5 });
        foreach (var (parameter, index) in parameters.Select(static (p, k) => (p, k)))
        {
            var p = parameter.Value.ToArray<double>();
            var m = new double[p.Length];
            var v = new double[p.Length];
            var e = p.ToArray();
            for (var step = 1; step <= 3; step++)
            {
                var g = Ops.Randn([p.Length], generator).To(dtype);
                parameter.Value.Grad = g;
                var gd = g.ToArray<double>();
                for (var k = 0; k < p.Length; k++)
                {
                    var grad = gd[k] * 0.5;
                    m[k] = (0.9 * m[k]) + (0.1 * grad);
                    v[k] = (0.999 * v[k]) + (0.001 * grad * grad);
                    p[k] -= 0.01 * 0.1 * p[k];
                    p[k] -= 0.01 * (m[k] / (1 - Math.Pow(0.9, step))) / (Math.Sqrt(v[k] / (1 - Math.Pow(0.999, step))) + 1e-8);
                    e[k] += 0.5 * (p[k] - e[k]);
                }

                if (index == 0)
                    optimiser.Step(0.01, 0.5, [slow, fast]);
            }

            if (index > 0)
                continue;
            Close(Tensor.From(p), parameter.Value, tolerance, "weights");
            Close(Tensor.From(e), fast.Tensors().First().Value, tolerance, "average");
        }
    }

    [Fact]
    public void The_norm_does_not_depend_on_threads()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 2);
        var x = Ops.Randn([200_003L], generator);
        var threads = TorchRuntime.Threads;
        try
        {
            TorchRuntime.Threads = 1;
            var one = Ops.GlobalNorm([x]);
            TorchRuntime.Threads = 2;
            Assert.Equal(one, Ops.GlobalNorm([x]));
            Assert.Equal(x.To(DType.Float64).Square().Sum().Sqrt().Item(), one, 9);
        }
        finally
        {
            TorchRuntime.Threads = threads;
        }
    }

    [Fact]
    public void An_average_can_temporarily_replace_the_weights()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 2);
        using var store = new ParameterStore();
        var parameter = store.Root.Parameter("a", [3], Inits.Ones);
        store.Initialise(generator, Device.Cpu);
        using var average = new WeightAverage([parameter], new WeightAverageOptions { Decay = 0.5 });
        parameter.Value.FillInPlace(3);
        using (average.Apply())
            Assert.Equal([1f, 1, 1], parameter.Value.ToArray<float>());
        Assert.Equal([3f, 3, 3], parameter.Value.ToArray<float>());
        Assert.Equal([1f, 1, 1], average.Tensors().First().Value.ToArray<float>());
    }

    private static void Close(Tensor expected, Tensor actual, double tolerance, string what)
    {
        var e = expected.ToArray<double>();
        var a = actual.ToArray<double>();
        Assert.Equal(e.Length, a.Length);
        for (var k = 0; k < e.Length; k++)
            Assert.True(
                Math.Abs(e[k] - a[k]) <= tolerance + (1e-4 * Math.Abs(e[k]) * (tolerance < 1e-6 ? 0 : 1)),
                $"{what} [{k}]: expected {e[k]:R}, got {a[k]:R}"
            );
    }

    internal static string FindGoldens()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "tests", "goldens");
            if (Directory.Exists(candidate))
                return candidate;
        }

        throw new DirectoryNotFoundException("tests/goldens");
    }
}
