using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Samplers;
using Retouch.Samplers.Solvers;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Samplers;

/// <summary>Sampling requests: seeds, batches, guidance, progress, memory, and errors.</summary>
public sealed class SamplerTests
{
    private static readonly SamplerOptions Stochastic = new() { Solver = new Ddpm() };

    [Theory]
    [InlineData("flow", "euler")]
    [InlineData("eps", "ddpm")]
    [InlineData("v", "dpmpp-2m")]
    [InlineData("eps", "euler-a")]
    [InlineData("flow", "euler-a")]
    [InlineData("v", "unipc")]
    [InlineData("eps", "heun")]
    [InlineData("eps", "pndm")]
    [InlineData("v", "lms")]
    public void A_picture_depends_on_its_seed_alone(string name, string solver)
    {
        using var scope = TensorScope.Enter();
        var sampler = new Sampler(
            Diffusion.FormulationTests.Create(name),
            new() { Solver = Named(solver), Spacing = solver == "pndm" ? TimestepSpacing.Leading : TimestepSpacing.Trailing }
        );
        using var network = new WaveDenoiser();
        var together = sampler.Sample(network, Request([11, 12, 13], [0, 1, 2])).Value;
        var apart = sampler.Sample(network, Request([11, 12, 13], [0, 1, 2]) with { BatchSize = 2 }).Value;
        Assert.Equal([3, 4, 8, 8], together.Shape);
        Assert.Equal(together.ToArray<float>(), apart.ToArray<float>());
        var alone = sampler.Sample(network, Request([13], [2])).Value;
        Assert.Equal(together.Narrow(0, 2, 1).ToArray<float>(), alone.ToArray<float>());
        Assert.NotEqual(alone.ToArray<float>(), sampler.Sample(network, Request([14], [2])).Value.ToArray<float>());
    }

    [Fact]
    public void Guidance_runs_both_conditions_in_one_pass()
    {
        using var scope = TensorScope.Enter();
        var sampler = new Sampler(new FlowFormulation(), new() { Solver = new Euler() });
        using var network = new WaveDenoiser();
        var request = Request([1, 2], [3, 4]) with { Steps = 5 };
        var plain = sampler.Sample(network, request).Value;
        Assert.Equal(Enumerable.Repeat(2, 5), network.Batches);
        network.Batches.Clear();
        var guided = sampler.Sample(network, request with { Guidance = new(2.5) }).Value;
        Assert.Equal(Enumerable.Repeat(4, 5), network.Batches);
        Assert.Equal([3L, 4, WaveDenoiser.Classes, WaveDenoiser.Classes], network.Labels);
        Assert.NotEqual(plain.ToArray<float>(), guided.ToArray<float>());
        // Guided away from another class instead of "no class": with the condition itself there is no guidance.
        var same = sampler.Sample(network, request with { Guidance = new(2.5), Unconditional = request.Condition }).Value;
        Assert.True((same - plain).Abs().Max().Item() < 1e-5);
    }

    [Theory]
    [InlineData("euler-a")]
    [InlineData("unipc")]
    public void Negative_prompts_replace_the_unconditional_prediction(string solver)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 8);
        using var network = new WaveDenoiser { ClassCount = null };
        Condition Draw(int batch) =>
            new()
            {
                Text = Ops.Randn([batch, 5, 3], generator),
                TextMask = Ops.Ones([batch, 5], dtype: DType.Int64),
                Pooled = Ops.Randn([batch, 2], generator),
                TimeIds = Ops.Randn([batch, 6], generator),
            };
        var (told, negative) = (Draw(3), Draw(3));
        var sampler = new Sampler(Diffusion.FormulationTests.Create("v"), new() { Solver = Named(solver) });
        var request = Request([11, 12, 13], []) with { Condition = told, Unconditional = negative, Guidance = new(3, 0.5) };
        var together = sampler.Sample(network, request).Value;
        Assert.Equal(together.ToArray<float>(), sampler.Sample(network, request with { BatchSize = 2 }).Value.ToArray<float>());
        var alone = sampler
            .Sample(network, request with { Seeds = [13], Condition = told.Narrow(2, 1), Unconditional = negative.Narrow(2, 1) })
            .Value;
        Assert.Equal(together.Narrow(0, 2, 1).ToArray<float>(), alone.ToArray<float>());
        // Every member reaches the network, in both halves.
        foreach (
            var changed in (Condition[])
                [
                    negative with
                    {
                        Text = negative.Text! + 1,
                    },
                    negative with
                    {
                        TextMask = Ops.Zeros([3, 5], dtype: DType.Int64),
                    },
                    negative with
                    {
                        Pooled = negative.Pooled! + 1,
                    },
                    negative with
                    {
                        TimeIds = negative.TimeIds! + 1,
                    },
                ]
        )
            Assert.NotEqual(
                together.ToArray<float>(),
                sampler.Sample(network, request with { Unconditional = changed }).Value.ToArray<float>()
            );
        foreach (
            var wrong in (Condition[])[negative with { Pooled = null }, negative with { Text = Ops.Zeros([3, 4, 3]) }, new Condition()]
        )
            Assert.Contains(
                "differ in",
                Assert.Throws<UsageException>(() => sampler.Sample(network, request with { Unconditional = wrong })).Message,
                StringComparison.Ordinal
            );
    }

    [Fact]
    public void A_guidance_interval_limits_the_unconditional_passes()
    {
        using var scope = TensorScope.Enter();
        using var network = new WaveDenoiser();
        var sampler = new Sampler(new FlowFormulation(), new() { Solver = new Euler() });
        var request = Request([1, 2], [3, 4]) with
        {
            Steps = 4,
            Guidance = new(2) { From = 0.3, To = 0.9 },
        };
        // Timesteps 1, 0.667, 0.334 and 0.001.
        var limited = sampler.Sample(network, request).Value;
        Assert.Equal([2, 4, 4, 2], network.Batches);
        Assert.NotEqual(limited.ToArray<float>(), sampler.Sample(network, request with { Guidance = new(2) }).Value.ToArray<float>());
    }

    [Fact]
    public void Guidance_follows_the_papers()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 4);
        var (told, untold) = (Ops.Randn([2, 3, 4, 4], generator), Ops.Randn([2, 3, 4, 4], generator));
        var guided = new Guidance(3).Combine(told, untold);
        Assert.True((guided - ((3 * told) - (2 * untold))).Abs().Max().Item() < 1e-5);
        Assert.Equal(untold.ToArray<float>(), new Guidance(0).Combine(told, untold).ToArray<float>());
        var whole = new Guidance(3, 1).Combine(told, untold);
        for (var k = 0; k < 2; k++)
            Assert.Equal(
                told.Select(0, k).Std([0L, 1, 2], correction: 1).Item(),
                whole.Select(0, k).Std([0L, 1, 2], correction: 1).Item(),
                4
            );
        var half = new Guidance(3, 0.5).Combine(told, untold);
        Assert.True((half - ((guided + whole) * 0.5)).Abs().Max().Item() < 1e-5);
    }

    [Fact]
    public void Progress_counts_all_steps_and_memory_is_freed()
    {
        using var scope = TensorScope.Enter();
        var sampler = new Sampler(Diffusion.FormulationTests.Create("eps"), Stochastic);
        using var network = new WaveDenoiser();
        var request = Request([1, 2, 3], [0, 0, 0]) with { BatchSize = 2, Steps = 4, Guidance = new(2) };
        List<(int First, int Done, int Total, long Pictures)> seen = [];
        var before = scope.Count;
        var drawn = sampler.Sample(network, request, p => seen.Add((p.First, p.Done, p.Total, p.State.Estimate.Value.Shape[0])));
        Assert.Equal(before + 1, scope.Count);
        Assert.False(drawn.Value.RequiresGrad);
        Assert.Equal(
            [(0, 1, 8, 2), (0, 2, 8, 2), (0, 3, 8, 2), (0, 4, 8, 2), (2, 5, 8, 1), (2, 6, 8, 1), (2, 7, 8, 1), (2, 8, 8, 1)],
            seen
        );
    }

    [Fact]
    public void Cancellation_ends_between_steps()
    {
        using var scope = TensorScope.Enter();
        using var source = new CancellationTokenSource();
        using var network = new WaveDenoiser();
        var sampler = new Sampler(new FlowFormulation(), new());
        var request = Request([1], [0]) with { Steps = 10 };
        var before = scope.Count;
        Assert.Throws<OperationCanceledException>(() =>
            sampler.Sample(
                network,
                request,
                p =>
                {
                    if (p.Done == 3)
                        source.Cancel();
                },
                source.Token
            )
        );
        Assert.Equal(3, network.Batches.Count);
        Assert.Equal(before, scope.Count);
    }

    [Fact]
    public void A_flow_starts_at_pure_noise_and_ends_at_zero()
    {
        foreach (var steps in (int[])[1, 2, 50])
        {
            var plan = SamplingPlan.Create(new FlowFormulation(shift: 3), new() { Solver = new Euler() }, steps);
            Assert.Equal(steps, plan.Steps.Count);
            Assert.Equal((0.0, 1.0), (plan.Steps[0].From.A, plan.Steps[0].From.B));
            Assert.Equal((1.0, 0.0), (plan.Steps[^1].To.A, plan.Steps[^1].To.B));
            Assert.All(plan.Steps, static s => Assert.True(s.To.B < s.From.B));
        }
    }

    [Theory]
    [InlineData("ddim")]
    [InlineData("ddpm")]
    [InlineData("euler")]
    [InlineData("dpmpp-2m")]
    [InlineData("euler-a")]
    [InlineData("heun")]
    [InlineData("unipc")]
    [InlineData("pndm")]
    [InlineData("lms")]
    public void Timesteps_of_every_spacing_decrease(string solver)
    {
        var ddpm = Diffusion.FormulationTests.Create("v");
        foreach (var spacing in Enum.GetValues<TimestepSpacing>().Where(s => solver != "pndm" || s == TimestepSpacing.Leading))
        {
            foreach (var steps in (int[])[1, 7, 50, 333, 999])
            {
                var plan = SamplingPlan.Create(ddpm, new() { Solver = Named(solver), Spacing = spacing }, steps);
                Assert.Equal(steps, plan.Steps.Count);
                // A single step over the whole schedule may start at its first timestep, where DDIM does not move.
                Assert.All(plan.Steps, static s => Assert.True(s.To.B <= s.From.B));
                Assert.All(plan.Steps.Zip(plan.Steps.Skip(1)), static p => Assert.True(p.Second.From.Timestep < p.First.From.Timestep));
            }
        }
    }

    /// <summary>Invalid and ineffective options, with the named member.</summary>
    public static TheoryData<string, SamplerOptions, string> Refused =>
        new()
        {
            {
                "flow",
                new() { Spacing = TimestepSpacing.Leading },
                "spacing"
            },
            {
                "eps",
                new() { StepsOffset = 1 },
                "stepsOffset"
            },
            {
                "flow",
                new() { Solver = new Ddim { SetAlphaToOne = true } },
                "setAlphaToOne"
            },
            {
                "eps",
                new() { Solver = new Ddim { ClipRange = -1 } },
                "clipRange"
            },
            {
                "eps",
                new() { Solver = new Heun { ClipRange = double.NaN } },
                "clipRange"
            },
            {
                "eps",
                new() { Solver = new Ddpm { ClipRange = 0 } },
                "clipRange"
            },
            {
                "eps",
                new() { Solver = new Ddim { Eta = 1.5 } },
                "eta"
            },
            {
                "flow",
                new() { Solver = new Euler(), Sigmas = SigmaSpacing.Karras },
                "sigmas"
            },
            {
                "eps",
                new() { Sigmas = SigmaSpacing.Exponential },
                "sigmas"
            },
            {
                "flow",
                new() { Solver = new Pndm() },
                "solver"
            },
            {
                "flow",
                new() { Solver = new Lms() },
                "solver"
            },
            {
                "eps",
                new() { Solver = new Pndm() },
                "spacing"
            },
            {
                "zero-snr v",
                new() { Solver = new Pndm(), Spacing = TimestepSpacing.Leading },
                "solver"
            },
            {
                "flow",
                new() { Solver = new Euler { EndAtLeastNoise = true } },
                "endAtLeastNoise"
            },
            {
                "flow",
                new() { Solver = new UniPc { EndAtLeastNoise = true } },
                "endAtLeastNoise"
            },
            {
                "eps",
                new() { Solver = new DpmSolver2M { SolverOrder = 3 } },
                "solverOrder"
            },
            {
                "eps",
                new() { Solver = new UniPc { SolverOrder = 4 } },
                "solverOrder"
            },
            {
                "eps",
                new() { Solver = new UniPc { Variant = (UniPcVariant)7 } },
                "variant"
            },
        };

    [Theory]
    [MemberData(nameof(Refused))]
    public void Invalid_and_ineffective_options_are_rejected(string name, SamplerOptions options, string member)
    {
        var error = Assert.Throws<UsageException>(() => new Sampler(Diffusion.FormulationTests.Create(name), options));
        Assert.Contains($"sampler.{member}:", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Invalid_requests_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var network = new WaveDenoiser();
        using var blind = new WaveDenoiser { ClassCount = null };
        var sampler = new Sampler(Diffusion.FormulationTests.Create("eps"), new());
        var request = Request([1], [0]);
        void Refuse(SamplingRequest wrong, WaveDenoiser by) => Assert.Throws<UsageException>(() => sampler.Sample(by, wrong));
        Refuse(request with { Seeds = [] }, network);
        Refuse(request with { Seeds = [1, 2] }, network);
        Refuse(request with { Steps = 0 }, network);
        Refuse(request with { Steps = 1001 }, network);
        Refuse(request with { Height = 0 }, network);
        Refuse(request with { BatchSize = 0 }, network);
        Refuse(request with { Guidance = new(-1) }, network);
        Refuse(request with { Guidance = new(1, 0.5) }, network);
        Refuse(
            request with
            {
                Guidance = new(2) { From = 0.5, To = 0.5 },
            },
            network
        );
        Refuse(request with { Guidance = new() { From = 0.5 } }, network);
        Refuse(request with { Guidance = new(2) }, blind);
        Assert.Empty(network.Batches);
        var beyond = new SamplerOptions { Spacing = TimestepSpacing.Leading, StepsOffset = 1 };
        Assert.Throws<UsageException>(() => SamplingPlan.Create(Diffusion.FormulationTests.Create("eps"), beyond, 1000));
    }

    private static Solver Named(string name) => SamplerNames.Parse(name).Solver;

    private static SamplingRequest Request(ulong[] seeds, long[] labels) =>
        new()
        {
            Seeds = seeds,
            Height = 8,
            Width = 8,
            Condition = new Condition(Tensor.From(labels)),
            Steps = 6,
        };

    /// <summary>A network defined by a formula: a wave of latent, timestep and class.</summary>
    private sealed class WaveDenoiser : IDenoiser
    {
        public const int Classes = 10;

        public List<int> Batches { get; } = [];

        public long[] Labels { get; private set; } = [];

        public int LatentChannels => 4;

        public int SampleSize => 8;

        public int? ClassCount { get; init; } = Classes;

        public int? TextWidth => null;

        public ParameterStore Parameters { get; } = new();

        public bool CheckpointActivations { get; set; }

        public Prediction Predict(Tensor noisy, Tensor time, Condition condition)
        {
            Assert.False(Autograd.IsEnabled);
            Batches.Add((int)noisy.Shape[0]);
            Labels = condition.ClassLabels?.ToArray<long>() ?? [];
            var told =
                condition.ClassLabels?.To(DType.Float32)
                ?? (condition.Text! * condition.TextMask!.Unsqueeze(-1)).Sum([1L, 2])
                    + condition.Pooled!.Sum([1L])
                    + condition.TimeIds!.Sum([1L]);
            var offset = (told * 0.1) + (time * 1e-4);
            return new Prediction((noisy * 0.9) + offset.View([-1L, 1, 1, 1]));
        }

        public void Dispose() => Parameters.Dispose();
    }
}
