using Retouch.Torch.Nn;
using Retouch.Torch.Optim;

namespace Retouch.Torch.Tests;

/// <summary>Trained weights in bfloat16 without a float32 copy.</summary>
public sealed class StochasticRoundingTests
{
    [Theory]
    [InlineData(1.0009765625, 1.0, 1.0078125)] // 2^-10 above 1: an eighth of the distance to the next number
    [InlineData(-3.01, -3.015625, -3.0)]
    [InlineData(1.00001e-30, 9.984e-31, 1.00456e-30)]
    public void The_mean_is_the_value_and_results_are_its_neighbours(double value, double low, double high)
    {
        using var scope = TensorScope.Enter();
        const int Count = 1 << 20;
        var exact = Ops.Full([Count], value, dtype: DType.Float32);
        value = exact.Narrow(0, 0, 1).Item();
        using var generator = Generator.Create(Device.Cpu, 5);
        var rounded = Ops.Empty([Count], dtype: DType.BFloat16);
        StochasticRounding.Store(exact, rounded, generator);
        var found = rounded.To(DType.Float64).ToArray<double>();
        var (least, most) = (found.Min(), found.Max());
        Assert.Equal(low, least, 1e-3 * Math.Abs(low));
        Assert.Equal(high, most, 1e-3 * Math.Abs(high));
        Assert.Equal([least, most], found.Distinct().Order());
        // A binomial proportion within four standard deviations.
        var share = (value - least) / (most - least);
        var deviation = (most - least) * Math.Sqrt(share * (1 - share) / Count);
        Assert.Equal(value, found.Average(), 4 * deviation);
    }

    [Fact]
    public void Representable_values_are_unchanged()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 6);
        var values = Ops.Randn([10_000L], generator, dtype: DType.Float32).To(DType.BFloat16);
        var rounded = values.ZerosLike();
        StochasticRounding.Store(values.To(DType.Float32), rounded, generator);
        Assert.Equal(values.To(DType.Float32).ToArray<float>(), rounded.To(DType.Float32).ToArray<float>());
    }

    [Theory]
    [InlineData("adamw")]
    [InlineData("adamw8bit")]
    [InlineData("adafactor")]
    public void Updates_below_the_precision_of_the_weights_are_not_lost(string kind)
    {
        const int Count = 100 * 100;
        const int Steps = 100;
        // A step changes a weight by 1e-4; half a unit in the last place of 1 is 2e-3 in bfloat16, downwards.
        const double Rate = 1e-4;
        using var scope = TensorScope.Enter();
        using var store = Ones(narrow: true);
        using var wide = Ones(narrow: false);
        using var optimiser = Make(kind, store.Trained);
        using var reference = Make(kind, wide.Trained);
        using var average = new WeightAverage(store.Trained, new WeightAverageOptions { Decay = 0.5 });
        for (var step = 0; step < Steps; step++)
        {
            foreach (var parameter in store.Trained.Concat(wide.Trained))
                parameter.Value.Grad = Ops.Ones(parameter.Shape, dtype: parameter.Value.DType);
            Assert.Equal(Math.Sqrt(Count + 100), optimiser.GradientNorm(), 1e-3);
            optimiser.Step(Rate, 1, [average]);
            reference.Step(Rate, 1, []);
        }

        var matrix = store.Find("weight")!.Value;
        Assert.Equal(DType.BFloat16, matrix.DType);
        var found = matrix.To(DType.Float64).ToArray<double>();
        var expected = wide.Find("weight")!.Value.Mean().Item();
        Assert.Equal(1 - (Rate * Steps), expected, 1e-5);
        Assert.True(found.Distinct().Count() > 2);
        // Each step rounds with a variance of at most (2^-8)²/4 below 1.
        Assert.Equal(expected, found.Average(), 4 * 0.5 * Math.Pow(2, -8) * Math.Sqrt(Steps) / Math.Sqrt(Count));
        // Other parameters have no rounding.
        Assert.Equal(DType.Float32, store.Find("bias")!.Value.DType);
        Assert.Equal(wide.Find("bias")!.Value.ToArray<float>(), store.Find("bias")!.Value.ToArray<float>());
        Assert.All(average.Tensors(), static t => Assert.Equal(DType.Float32, t.Value.DType));
        Assert.Equal(expected, average.Tensors().First().Value.Mean().Item(), 1e-3);
    }

    [Fact]
    public void Rounding_depends_on_the_seed_and_the_step_alone()
    {
        float[] Train(ulong seed, int stop)
        {
            using var scope = TensorScope.Enter();
            using var store = Ones(narrow: true);
            Optimiser Create() => new AdamW(store.Trained, new AdamWOptions(), step => seed + (ulong)step);
            var optimiser = Create();
            for (var step = 0; step < 6; step++)
            {
                if (step == stop)
                {
                    var states = optimiser.State().ToDictionary(static s => s.Key, static s => s.Value.Clone(), StringComparer.Ordinal);
                    optimiser.Dispose();
                    optimiser = Create();
                    optimiser.LoadState(new States(states), step);
                }

                foreach (var parameter in store.Trained)
                    parameter.Value.Grad = Ops.Ones(parameter.Shape, dtype: parameter.Value.DType);
                optimiser.Step(1e-3, 1, []);
            }

            optimiser.Dispose();
            return store.Find("weight")!.Value.To(DType.Float32).ToArray<float>();
        }

        var whole = Train(7, -1);
        Assert.Equal(whole, Train(7, 3));
        Assert.NotEqual(whole, Train(8, -1));
    }

    [Fact]
    public void An_average_temporarily_replaces_bfloat16_weights_without_losing_digits()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var store = Ones(narrow: true);
        using var average = new WeightAverage(store.Trained, new WeightAverageOptions { Decay = 0.5 });
        var weight = store.Find("weight")!.Value;
        average.Tensors().First().Value.FillInPlace(1.001);
        weight.FillInPlace(2);
        using (average.Apply())
            Assert.Equal(1, weight.To(DType.Float32).Max().Item());
        Assert.Equal(2, weight.To(DType.Float32).Min().Item());
        Assert.Equal(1.001, average.Tensors().First().Value.Max().Item(), 1e-7);
    }

    private static Optimiser Make(string kind, IEnumerable<Parameter> parameters)
    {
        static ulong Seeds(long step) => (ulong)(1000 + step);
        var options = new AdamWOptions { WeightDecay = 0 };
        return kind switch
        {
            "adamw8bit" => new AdamW8Bit(parameters, options, new EightBitOptions(), Seeds),
            "adafactor" => new Adafactor(parameters, new AdafactorOptions(), Seeds),
            _ => new AdamW(parameters, options, Seeds),
        };
    }

    private static ParameterStore Ones(bool narrow)
    {
        var store = new ParameterStore();
        _ = new Linear(store.Root, 100, 100);
        if (narrow)
            store.Narrow(new NarrowLayers(DType.BFloat16) { IsTrained = true });
        using var generator = Generator.Create(Device.Cpu, 1);
        store.Initialise(generator, Device.Cpu);
        using var quiet = Autograd.NoGrad();
        foreach (var parameter in store.All)
            parameter.Value.FillInPlace(1);
        store.RequireGrad(true);
        return store;
    }

    private sealed class States(Dictionary<string, Tensor> tensors) : ITensorSource
    {
        public IEnumerable<string> Names => tensors.Keys;

        public long[] ShapeOf(string name) => tensors[name].Shape;

        public DType DTypeOf(string name) => tensors[name].DType;

        public Tensor Read(string name) => tensors[name].Clone();
    }
}
