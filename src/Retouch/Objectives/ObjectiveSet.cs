using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Objectives.Preference;
using Retouch.Torch;
using Retouch.Torch.Diagnostics;

namespace Retouch.Objectives;

/// <summary>The weighted sum of the objectives of a run: L = L_diffusion + w·L_auxiliary + ….</summary>
public sealed class ObjectiveSet
{
    private readonly IReadOnlyList<ILatentObjective> _latent;
    private readonly IReadOnlyList<IDecodedObjective> _decoded;
    private readonly DecodePlan? _plan;
    private readonly SortedDictionary<string, AutoWeight> _automatic = new(StringComparer.Ordinal);
    private readonly Func<double, double> _average;

    /// <param name="options">What is minimised.</param>
    /// <param name="autoencoder">Whose decoder is used; may be null when no objective decodes.</param>
    /// <param name="average">Averages a number over the processes of a distributed run, so that all scale a term alike; null for a single
    /// process.</param>
    /// <param name="clock">Told the <see cref="DecodePhases"/>; null where nobody asks.</param>
    /// <exception cref="UsageException">The options do not fit each other or the decoder; the message lists all problems.</exception>
    public ObjectiveSet(ObjectiveOptions options, IAutoencoder? autoencoder, Func<double, double>? average = null, PhaseClock? clock = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        var problems = options.Validate("objectives");
        if (problems.Count > 0)
            throw new UsageException(string.Join('\n', problems));
        if (options.NeedsDecoder && autoencoder is null)
            throw new UsageException(
                "objectives: an objective looks at decoded latents, but there is no autoencoder; give a model folder with a 'vae'."
            );
        List<ILatentObjective> latent =
            options.DiffusionWeight > 0
                ? [new LatentObjective(options.DiffusionWeight, new LossWeighting(options.LatentWeighting, options.MinSnrGamma ?? 5))]
                : [];
        List<IDecodedObjective> decoded = [];
        if (options.Perceptual is { } perceptual)
            decoded.Add(new LatentPerceptualObjective(perceptual, autoencoder!));
        if (options.Pixel is { Space: PixelSpace.Pixel } pixel)
            decoded.Add(new PixelObjective(pixel));
        else if (options.Pixel is { } control)
            latent.Add(new LatentWeightedObjective(control.Weight));
        if (options.Preference is { } preference)
        {
            if (preference.Space is PreferenceSpace.Latent or PreferenceSpace.Both)
                latent.Add(new LatentPreferenceObjective(preference));
            if (preference.Space is PreferenceSpace.Pixel or PreferenceSpace.Both)
                decoded.Add(DecodedPreferenceObjective.Pixels(preference));
            else if (preference.Space == PreferenceSpace.Features)
                decoded.Add(DecodedPreferenceObjective.Features(preference, autoencoder!));
        }

        (_latent, _decoded) = (latent, decoded);
        _plan = decoded.Count > 0 ? new DecodePlan(autoencoder!, options.DecodeBatch ?? 0, options.CheckpointDecoder, clock) : null;
        var automatic = options.Automatic().ToArray();
        foreach (var (name, share, warmUp) in automatic)
            _automatic[name] = new AutoWeight(share, automatic.Sum(static a => a.Share), warmUp);
        _average = average ?? (static x => x);
    }

    /// <summary>
    /// The memory of the weights that are scaled to a share, by term: to be saved with a checkpoint and set again on resume.
    /// </summary>
    public IReadOnlyDictionary<string, AutoWeightState> State
    {
        get => _automatic.ToDictionary(static p => p.Key, static p => p.Value.State);
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            foreach (var (name, weight) in _automatic)
                weight.State = value.TryGetValue(name, out var state)
                    ? state
                    : throw new InputException($"The saved state has no weight of the term '{name}'.");
        }
    }

    /// <summary>Evaluates all objectives on one batch. The total belongs to the scope that is open now.</summary>
    /// <exception cref="UsageException">An objective needs the images and the step does not have them.</exception>
    public LossTerms Evaluate(ObjectiveInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        using var scope = TensorScope.Enter();
        var health = new HealthLog();
        var terms = new List<Term>();
        foreach (var objective in _latent)
            terms.Add(new Term(objective, objective.Evaluate(inputs, health), null));
        var decoded = _plan?.Run(inputs, _decoded, health) ?? [];
        for (var k = 0; k < decoded.Length; k++)
        {
            var losses = decoded[k].Losses;
            terms.Add(new Term(_decoded[k], _decoded[k].Reduce(inputs, losses, health), decoded[k]));
            health.Ratio($"{_decoded[k].Name}/active", losses.ActiveCount, losses.Samples);
        }

        var raw = Ops.Stack(terms.Select(static t => t.Raw.Detach().To(DType.Float64)).ToArray()).ToArray<double>();
        var weights = Weigh(terms, raw);
        var total = weights[0] * terms[0].Raw;
        for (var k = 1; k < terms.Count; k++)
            total += weights[k] * terms[k].Raw;
        PairHealth.Watch(health, inputs);
        GradientNorms.Watch(health, inputs, terms, weights);
        foreach (var (name, weight) in _automatic)
            health.Ratio($"{name}/weight", weight.Value, 1);
        var sum = terms.Select((_, k) => weights[k] * raw[k]).Sum();
        return new LossTerms(
            scope.Keep(total),
            [
                .. terms.Select(
                    (t, k) => new LossTerm(t.Objective.Name, raw[k], weights[k] * raw[k], sum == 0 ? 0 : weights[k] * raw[k] / sum)
                ),
            ],
            health.Read()
        );
    }

    private double[] Weigh(List<Term> terms, double[] raw)
    {
        if (_automatic.Count > 0)
        {
            var others = _average(terms.Select((t, k) => (t.Objective.Weight.Fixed ?? 0) * raw[k]).Sum());
            for (var k = 0; k < terms.Count; k++)
            {
                // A frozen weight asks no other process: all froze at the same evaluation.
                if (_automatic.TryGetValue(terms[k].Objective.Name, out var weight) && !weight.IsFrozen)
                    weight.Observe(_average(raw[k]), others);
            }
        }

        return [.. terms.Select(t => t.Objective.Weight.Fixed ?? _automatic[t.Objective.Name].Value)];
    }
}

/// <summary>A term while the set is at work.</summary>
/// <param name="Objective">Whose.</param>
/// <param name="Raw">The scalar, unweighted.</param>
/// <param name="Decoded">Values and gradients of the samples, for objectives that decode.</param>
internal sealed record Term(IObjective Objective, Tensor Raw, DecodedLoss? Decoded);
