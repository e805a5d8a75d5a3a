using System.ComponentModel;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>How an average's decay starts.</summary>
public enum AverageWarmup
{
    /// <summary>The decay holds from the first step on; the average starts as the initial weights.</summary>
    None,

    /// <summary>min(decay, (1 + s)/(10 + s)), and a copy of the weights on the first step, as diffusers' EMAModel.</summary>
    Ratio,

    /// <summary>min(decay, 1 − (1 + s/inv_gamma)^−power), and a copy on the first step: EMAModel with use_ema_warmup.</summary>
    Power,
}

/// <summary>Settings of a <see cref="WeightAverage"/>.</summary>
public sealed record WeightAverageOptions
{
    /// <summary>The decay in full force, in [0, 1).</summary>
    [Description("The decay in full force, in [0, 1).")]
    public double Decay { get; init; } = 0.9999;

    /// <summary>How the decay starts.</summary>
    [Description("How the decay starts.")]
    public AverageWarmup Warmup { get; init; } = AverageWarmup.None;

    /// <summary>inv_gamma of <see cref="AverageWarmup.Power"/>, above 0.</summary>
    [Description("inv_gamma of power, above 0.")]
    public double InverseGamma { get; init; } = 1;

    /// <summary>Exponent of <see cref="AverageWarmup.Power"/>, above 0.</summary>
    [Description("Exponent of power, above 0.")]
    public double Power { get; init; } = 2.0 / 3;

    /// <summary>The part of the starting weights that is left in the average after a run; 0 with a warm-up, which leaves none.</summary>
    /// <param name="steps">Optimiser steps of the run.</param>
    public double Remainder(long steps) => Warmup == AverageWarmup.None ? Math.Pow(Decay, steps) : 0;

    /// <summary>
    /// An average that fits a run: it remembers about a tenth of the steps (at most 10,000, at least 10), and starts with diffusers'
    /// warm-up.
    /// </summary>
    /// <param name="steps">Optimiser steps of the run, at least 1.</param>
    public static WeightAverageOptions Fitting(long steps)
    {
        var forgotten = Math.Clamp(10.0 / steps, 1e-4, 0.1);
        // One significant digit: the decay stands in the name of a folder.
        var unit = Math.Pow(10, Math.Floor(Math.Log10(forgotten)));
        return new() { Decay = Math.Round(1 - (Math.Round(forgotten / unit) * unit), 4), Warmup = AverageWarmup.Ratio };
    }
}

/// <summary>
/// An exponential moving average of weights: shadow ← shadow + (1 − decay)·(weight − shadow). Several run beside one training, each with
/// its own decay ([LPL] found 0.99975 best, where 0.9999 is usual).
/// </summary>
public sealed class WeightAverage : IDisposable
{
    private readonly IReadOnlyList<Parameter> _parameters;

    /// <param name="parameters">What is averaged; the average starts as their values.</param>
    /// <param name="options">Settings.</param>
    public WeightAverage(IEnumerable<Parameter> parameters, WeightAverageOptions options)
    {
        _parameters = [.. parameters];
        Options = options;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        Shadows = [.. _parameters.Select(static p => p.Value.Detach().Clone().Escape())];
    }

    /// <summary>Settings.</summary>
    public WeightAverageOptions Options { get; }

    /// <summary>Updates so far.</summary>
    public long Steps { get; private set; }

    internal Tensor[] Shadows { get; }

    /// <summary>The decay that update number <paramref name="step"/> (from 1) uses.</summary>
    public double DecayAt(long step)
    {
        if (Options.Warmup == AverageWarmup.None)
            return Options.Decay;
        var s = step - 1;
        if (s <= 0)
            return 0;
        var rising =
            Options.Warmup == AverageWarmup.Ratio ? (1.0 + s) / (10.0 + s) : 1 - Math.Pow(1 + (s / Options.InverseGamma), -Options.Power);
        return Math.Min(Options.Decay, rising);
    }

    /// <summary>The averaged tensors by key. They stay the average's.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> Tensors() => _parameters.Select((p, k) => KeyValuePair.Create(p.Name, Shadows[k]));

    /// <summary>Puts the averaged weights into the network until the result is disposed, for sampling and evaluation.</summary>
    public Swap Apply() => new(this);

    /// <summary>Continues from a checkpoint.</summary>
    public void LoadState(ITensorSource source, long steps)
    {
        Tensors().CopyFrom(source);
        Steps = steps;
    }

    /// <inheritdoc/>
    public void Dispose() => Array.ForEach(Shadows, static t => t.Dispose());

    internal double NextDecay() => DecayAt(++Steps);

    internal void Follow(Tensor[] values, double decay)
    {
        for (var k = 0; k < Shadows.Length; k++)
            Shadows[k].LerpInPlace(values[k], 1 - decay);
    }

    private void Exchange()
    {
        using var quiet = Autograd.NoGrad();
        for (var k = 0; k < Shadows.Length; k++)
        {
            using var scope = TensorScope.Enter();
            var current = _parameters[k].Value.Detach().Clone();
            _parameters[k].Value.CopyInPlace(Shadows[k]);
            Shadows[k].CopyInPlace(current);
        }
    }

    /// <summary>Puts the trained weights back when disposed.</summary>
    public readonly struct Swap : IDisposable
    {
        private readonly WeightAverage _average;

        internal Swap(WeightAverage average)
        {
            _average = average;
            average.Exchange();
        }

        /// <inheritdoc/>
        public void Dispose() => _average.Exchange();
    }
}
