using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Optim;

namespace Retouch.Training.Options;

/// <summary>Types of trained weights.</summary>
public enum TrainedWeights
{
    /// <summary>Single precision.</summary>
    Float32,

    /// <summary>bfloat16 with stochastic rounding.</summary>
    Bfloat16,
}

/// <summary>Optimiser and learning rate.</summary>
public sealed record OptimiserOptions
{
    private const ulong RoundingPurpose = 0x726f756e64;

    /// <summary>
    /// Optimiser: adamw, adamw8bit (AdamW with 8-bit states), adafactor, prodigy, schedule-free (AdamW) or muon (and AdamW for biases,
    /// normalisations and embeddings). docs/optimisers.md compares them.
    /// </summary>
    public OptimiserKind Kind { get; init; }

    /// <summary>
    /// Base learning rate, in (0, 10). Default: 1e-4 for adapters, class-conditional and unconditional denoisers, and training from
    /// scratch; 1e-5 for all weights of a text-conditional denoiser and for an existing autoencoder; a tenth of that with a preference
    /// term. With prodigy 1, with adafactor.relativeStep 0.01.
    /// </summary>
    [Bounds(Above = 0, Below = 10)]
    public double? LearningRate { get; init; }

    /// <summary>Base learning rate of resolved options.</summary>
    internal double BaseRate =>
        LearningRate ?? throw new InvalidOperationException("The learning rate is filled in by TrainingOptions.Resolve.");

    /// <summary>
    /// Trained weights of linear and convolution layers, and their gradients: float32, or bfloat16 with stochastic rounding and without a
    /// float32 copy, for adamw, adamw8bit and adafactor with precision bfloat16.
    /// </summary>
    public TrainedWeights Weights { get; init; }

    /// <summary>AdamW settings; with prodigy, schedule-free and muon, their moments and weight decay.</summary>
    public AdamWOptions AdamW { get; init; } = new();

    /// <summary>With adamw8bit: quantisation of the states.</summary>
    public EightBitOptions? EightBit { get; init; }

    /// <summary>With adafactor: its settings.</summary>
    public AdafactorOptions? Adafactor { get; init; }

    /// <summary>With prodigy: estimate of the step size.</summary>
    public ProdigyOptions? Prodigy { get; init; }

    /// <summary>With muon: treatment of matrices.</summary>
    public MuonOptions? Muon { get; init; }

    /// <summary>Gradient clipping: maximum global L2 norm, above 0; null disables it.</summary>
    [Bounds(Above = 0, Infinite = true)]
    public double? ClipNorm { get; init; } = 1;

    /// <summary>Learning rate schedule.</summary>
    public LearningRateSchedule Schedule { get; init; } = new();

    /// <summary>Options with all defaults filled in.</summary>
    /// <param name="rate">The learning rate.</param>
    internal OptimiserOptions Resolve(double rate) =>
        this with
        {
            LearningRate = rate,
            Schedule = Schedule with { Shape = Kind == OptimiserKind.ScheduleFree ? LearningRateShape.Constant : Schedule.ShapeOrDefault },
        };

    /// <summary>Name of the optimiser in messages.</summary>
    public static string NameOf(OptimiserKind kind) =>
        kind switch
        {
            OptimiserKind.Adamw => "AdamW",
            OptimiserKind.Adamw8bit => "AdamW with 8-bit states",
            OptimiserKind.ScheduleFree => "schedule-free AdamW",
            OptimiserKind.Muon => "Muon and AdamW",
            _ => kind.ToString(),
        };

    /// <summary>The optimiser of parameters.</summary>
    /// <param name="all">Trained parameters; each must have a value.</param>
    /// <param name="seed">Seed of the run, for stochastic rounding.</param>
    /// <param name="share">Share of this process in the parameters; null for all.</param>
    internal Optimiser Create(IEnumerable<Parameter> all, ulong seed, ParameterShare? share = null)
    {
        var parameters = share?.Own ?? all;
        ulong Rounding(long step) => SplitMix64.Derive(seed, RoundingPurpose, (ulong)step);
        return Kind switch
        {
            OptimiserKind.Adamw8bit => new AdamW8Bit(parameters, AdamW, EightBit ?? new(), Rounding) { Share = share },
            OptimiserKind.Adafactor => new Adafactor(parameters, Adafactor ?? new(), Rounding) { Share = share },
            OptimiserKind.Prodigy => new Prodigy(parameters, AdamW, Prodigy ?? new()) { Share = share },
            OptimiserKind.ScheduleFree => new ScheduleFree(parameters, AdamW) { Share = share },
            OptimiserKind.Muon => new Muon(parameters, AdamW, Muon ?? new()) { Share = share },
            _ => new AdamW(parameters, AdamW, Rounding) { Share = share },
        };
    }

    /// <summary>Bytes of the optimiser's state, from shapes alone.</summary>
    /// <param name="parameters">Trained parameters.</param>
    public long StateBytes(IEnumerable<Parameter> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        var bits = EightBit ?? new();
        return Kind switch
        {
            OptimiserKind.Adamw8bit => parameters.Sum(p => AdamW8Bit.BytesOf(p, bits)),
            OptimiserKind.Adafactor => parameters.Sum(Torch.Optim.Adafactor.BytesOf),
            OptimiserKind.Prodigy => parameters.Sum(Torch.Optim.Prodigy.BytesOf) + Torch.Optim.Prodigy.FixedBytes,
            OptimiserKind.ScheduleFree => parameters.Sum(ScheduleFree.BytesOf) + ScheduleFree.FixedBytes,
            OptimiserKind.Muon => parameters.Sum(Torch.Optim.Muon.BytesOf),
            _ => parameters.Sum(Torch.Optim.AdamW.BytesOf),
        };
    }

    /// <summary>Bytes of the trained weights, or of their gradients, from shapes alone.</summary>
    /// <param name="parameters">Trained parameters.</param>
    public long WeightBytes(IEnumerable<Parameter> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        return parameters.Sum(p => p.Count * (TrainedLayers is { Type: { } type } && p.IsAdaptable ? type : DType.Float32).Size());
    }

    /// <summary>Storage of trained layer weights in bfloat16, or null.</summary>
    internal NarrowLayers? TrainedLayers =>
        Weights == TrainedWeights.Bfloat16 ? new NarrowLayers(DType.BFloat16) { IsTrained = true } : null;

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.Under(nameof(AdamW)).Members(AdamW);
        check.Under(nameof(Schedule)).Members(Schedule);
        check.That(
            Schedule.Shape == LearningRateShape.Polynomial || Schedule.Power == 1,
            "optimiser.schedule.power has no effect unless shape is polynomial; leave it out"
        );
        Only(check, nameof(EightBit), EightBit, OptimiserKind.Adamw8bit);
        Only(check, nameof(Adafactor), Adafactor, OptimiserKind.Adafactor);
        Only(check, nameof(Prodigy), Prodigy, OptimiserKind.Prodigy);
        Only(check, nameof(Muon), Muon, OptimiserKind.Muon);
        check.That(
            Kind != OptimiserKind.Adafactor || AdamW == new AdamWOptions(),
            nameof(AdamW),
            "has no effect with kind adafactor, whose settings are optimiser.adafactor; leave it out"
        );
        check.That(
            Adafactor is not { RelativeStep: false, SmallestScale: not null },
            "optimiser.adafactor.smallestScale has no effect without relativeStep; leave it out"
        );
        check.That(
            Kind != OptimiserKind.ScheduleFree || Schedule.Shape is null or LearningRateShape.Constant,
            "optimiser.schedule.shape must be constant with kind schedule-free, which replaces a decay; a warm-up is possible"
        );
        check.That(
            Kind != OptimiserKind.ScheduleFree || AdamW.Beta1 > 0,
            "optimiser.adamW.beta1 must be above 0 with kind schedule-free, where it weighs the average"
        );
        check.That(
            Weights == TrainedWeights.Float32 || Kind is OptimiserKind.Adamw or OptimiserKind.Adamw8bit or OptimiserKind.Adafactor,
            $"optimiser.weights bfloat16 is for kind adamw, adamw8bit or adafactor; {OptionValue.Of(Kind)} needs float32 weights"
        );
    }

    /// <summary>Validates settings of one optimiser.</summary>
    private void Only(Requirements check, string member, object? settings, OptimiserKind kind)
    {
        if (settings is null)
            return;
        check.That(Kind == kind, member, $"has no effect unless kind is {OptionValue.Of(kind)}; leave it out");
        check.Under(member).Members(settings);
    }
}
