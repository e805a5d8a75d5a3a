using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>Warm-up of an average's decay.</summary>
public enum AverageWarmup
{
    /// <summary>Constant decay; the average starts at the initial weights.</summary>
    None,

    /// <summary>min(decay, (1 + s)/(10 + s)), with a copy of the weights at the first step, as in diffusers' EMAModel.</summary>
    Ratio,

    /// <summary>min(decay, 1 − (1 + s/inv_gamma)^−power), with a copy at the first step: EMAModel with use_ema_warmup.</summary>
    Power,
}

/// <summary>Options of a <see cref="WeightAverage"/>.</summary>
public sealed record WeightAverageOptions
{
    /// <summary>Decay after warm-up, in [0, 1).</summary>
    [Bounds(AtLeast = 0, Below = 1)]
    public double Decay { get; init; } = 0.9999;

    /// <summary>Warm-up of the decay.</summary>
    public AverageWarmup Warmup { get; init; } = AverageWarmup.None;

    /// <summary>inv_gamma of <see cref="AverageWarmup.Power"/>, above 0.</summary>
    [Bounds(Above = 0)]
    public double InverseGamma { get; init; } = 1;

    /// <summary>Exponent of <see cref="AverageWarmup.Power"/>, above 0.</summary>
    [Bounds(Above = 0)]
    public double Power { get; init; } = 2.0 / 3;

    /// <summary>Fraction of the initial weights that remains in the average after a run; 0 with a warm-up.</summary>
    /// <param name="steps">Number of optimiser steps.</param>
    public double Remainder(long steps) => Warmup == AverageWarmup.None ? Math.Pow(Decay, steps) : 0;

    /// <summary>
    /// Options for a run of given length: a memory of about a tenth of the steps (10 to 10,000), with diffusers' warm-up.
    /// </summary>
    /// <param name="steps">Number of optimiser steps, at least 1.</param>
    public static WeightAverageOptions Fitting(long steps)
    {
        var forgotten = Math.Clamp(10.0 / steps, 1e-4, 0.1);
        // Rounded to one significant digit, since the decay is part of a folder name.
        var unit = Math.Pow(10, Math.Floor(Math.Log10(forgotten)));
        return new() { Decay = Math.Round(1 - (Math.Round(forgotten / unit) * unit), 4), Warmup = AverageWarmup.Ratio };
    }
}

/// <summary>
/// Exponential moving average of weights: shadow ← shadow + (1 − decay)·(weight − shadow). A training can have several with different
/// decays ([LPL] found 0.99975 best, while 0.9999 is usual). Averages of bfloat16 weights are float32.
/// </summary>
public sealed class WeightAverage : IDisposable
{
    private readonly IReadOnlyList<Parameter> _parameters;
    private readonly Tensor?[] _held;

    /// <param name="parameters">Averaged parameters; the average starts at their values.</param>
    /// <param name="options">Options.</param>
    public WeightAverage(IEnumerable<Parameter> parameters, WeightAverageOptions options)
    {
        _parameters = [.. parameters];
        Options = options;
        _held = new Tensor?[_parameters.Count];
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        Shadows =
        [
            .. _parameters.Select(static p =>
                (StochasticRounding.IsNarrow(p.Value) ? p.Value.Detach().To(DType.Float32) : p.Value.Detach().Clone()).Escape()
            ),
        ];
    }

    /// <summary>Options.</summary>
    public WeightAverageOptions Options { get; }

    /// <summary>Number of updates.</summary>
    public long Steps { get; private set; }

    internal Tensor[] Shadows { get; }

    /// <summary>Decay of update <paramref name="step"/>, counted from 1.</summary>
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

    /// <summary>Averaged tensors by key. They stay owned by the average.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> Tensors() => _parameters.Select((p, k) => KeyValuePair.Create(p.Name, Shadows[k]));

    /// <summary>Swaps the averaged weights into the network until the result is disposed, for sampling and evaluation.</summary>
    public Swap Apply() => new(this);

    /// <summary>Restores the state from a checkpoint.</summary>
    public void LoadState(ITensorSource source, long steps)
    {
        Tensors().CopyFrom(source);
        Steps = steps;
    }

    /// <inheritdoc/>
    public void Dispose() => Array.ForEach(Shadows, static t => t.Dispose());

    internal double NextDecay() => DecayAt(++Steps);

    /// <summary>Follows the values of some parameters.</summary>
    /// <param name="indices">Indices of the parameters.</param>
    /// <param name="values">Their values.</param>
    /// <param name="decay">Decay of this update.</param>
    internal void Follow(int[] indices, Tensor[] values, double decay)
    {
        var shadows = Array.ConvertAll(indices, k => Shadows[k]);
        values = Array.ConvertAll(values, StochasticRounding.Widen);
        // Since libtorch 2.0.
        if (TorchRuntime.HasOperator("aten::_foreach_lerp_", "Scalar"))
        {
            Ops.ForeachLerpInPlace(shadows, values, 1 - decay);
            return;
        }

        for (var k = 0; k < shadows.Length; k++)
            shadows[k].LerpInPlace(values[k], 1 - decay);
    }

    private void Exchange()
    {
        using var quiet = Autograd.NoGrad();
        for (var k = 0; k < Shadows.Length; k++)
        {
            using var scope = TensorScope.Enter();
            var value = _parameters[k].Value;
            if (StochasticRounding.IsNarrow(value))
            {
                // In the weights' type the average would lose digits.
                Hold(k, value);
                continue;
            }

            var current = value.Detach().Clone();
            value.CopyInPlace(Shadows[k]);
            Shadows[k].CopyInPlace(current);
        }
    }

    /// <summary>Replaces weights by their average and keeps them, or restores the kept ones.</summary>
    private void Hold(int k, Tensor value)
    {
        if (_held[k] is { } held)
        {
            value.CopyInPlace(held);
            held.Dispose();
            _held[k] = null;
            return;
        }

        _held[k] = value.Detach().Clone().Escape();
        value.CopyInPlace(Shadows[k]);
    }

    /// <summary>Restores the trained weights when disposed.</summary>
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
