using System.Globalization;
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
    private readonly IReadOnlyList<IObjective> _all;
    private readonly DecodePlan? _plan;
    private readonly SortedDictionary<string, MeasuredWeight> _measured = new(StringComparer.Ordinal);
    private readonly WeightWatch _watch = new();
    private readonly List<string> _notes = [];
    private readonly Func<double, double> _average;
    private readonly int _anchor;

    /// <param name="options">Validated options.</param>
    /// <param name="autoencoder">Provides the decoder; may be null if no objective decodes.</param>
    /// <param name="average">Averages a number over the processes of a distributed run, so that all processes use the same weights; null
    /// for a single process.</param>
    /// <param name="clock">Receives the <see cref="DecodePhases"/>, or null.</param>
    /// <param name="resolution">Training size over the model's native size; scale of thresholds and feature windows.</param>
    /// <param name="prior">Weight of the loss of prior samples, or null without such samples.</param>
    /// <exception cref="UsageException">The options do not fit the decoder, or there is none.</exception>
    public ObjectiveSet(
        ObjectiveOptions options,
        IAutoencoder? autoencoder,
        Func<double, double>? average = null,
        PhaseClock? clock = null,
        double resolution = 1,
        double? prior = null
    )
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.NeedsDecoder && autoencoder is null)
            throw new UsageException(
                "objective: a term decodes latents, but the model has no autoencoder; give a model folder with a 'vae'."
            );
        var weighting = new LossWeighting(options.LatentWeighting, options.MinSnrGamma ?? 5);
        List<ILatentObjective> latent = options.DiffusionWeight > 0 ? [new LatentObjective(options.DiffusionWeight, weighting)] : [];
        if (prior is { } ofPrior)
            latent.Add(new PriorObjective(ofPrior, weighting));
        List<IDecodedObjective> decoded = [];
        if (options.Perceptual is { } perceptual)
            decoded.Add(new LatentPerceptualObjective(perceptual, autoencoder!, resolution: resolution));
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
                decoded.Add(DecodedPreferenceObjective.Features(preference, autoencoder!, resolution));
        }

        (_latent, _decoded, _all) = (latent, decoded, [.. latent, .. decoded]);
        _plan = decoded.Count > 0 ? new DecodePlan(autoencoder!, options.DecodeBatch ?? 0, options.CheckpointDecoder, clock) : null;
        Crop = decoded.Count > 0 ? DecodeCrop.Of(options, autoencoder!) : null;
        var shares = _all.Sum(static o => o.Weight.Share ?? 0);
        foreach (var objective in _all.Where(static o => o.Weight.Fixed is null))
            _measured[objective.Name] = MeasuredWeight.Of(objective.Weight, shares);
        _anchor = GradientNorms.Anchor(_all);
        _average = average ?? (static x => x);
    }

    /// <summary>Size of the windows that <see cref="ObjectiveInputs.Windows"/> must have; null for whole latents.</summary>
    public DecodeCrop? Crop { get; }

    /// <summary>State of the measured weights, by term: saved with a checkpoint and restored on resume.</summary>
    public IReadOnlyDictionary<string, AutoWeightState> State
    {
        get => _measured.ToDictionary(static p => p.Key, static p => p.Value.State);
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            foreach (var (name, weight) in _measured)
                weight.State = value.TryGetValue(name, out var state)
                    ? state
                    : throw new InputException($"The saved state has no weight for the term '{name}'.");
        }
    }

    /// <summary>
    /// User-facing notes on weights since the last call: weights that were frozen, weights that dominate the diffusion loss.
    /// </summary>
    public IReadOnlyList<string> TakeNotes()
    {
        string[] notes = [.. _notes];
        _notes.Clear();
        return notes;
    }

    /// <summary>Evaluates all objectives on one batch. The total belongs to the current scope.</summary>
    /// <exception cref="UsageException">An objective needs images and the step has none.</exception>
    public LossTerms Evaluate(ObjectiveInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        if (Crop is not null && inputs.Windows is null)
            throw new ArgumentException("The objective decodes windows, but the inputs have none.", nameof(inputs));
        using var scope = TensorScope.Enter();
        var health = new HealthLog(scope);
        var (terms, raw) = TermsOf(inputs, health);
        var weights = Array.ConvertAll([.. _all], o => (o.Weight.Fixed ?? _measured[o.Name].Value) * o.Ramp(inputs.Position.Step));
        var total = weights[0] * terms[0].Raw;
        for (var k = 1; k < terms.Count; k++)
            total += weights[k] * terms[k].Raw;
        PairHealth.Watch(health, inputs);
        double[] weighted = [.. weights.Select((w, k) => w * raw[k])];
        var sum = weighted.Sum();
        Weigh(inputs, terms, raw, weights, weighted, health);
        return new LossTerms(
            scope.Keep(total),
            [.. terms.Select((t, k) => new LossTerm(t.Objective.Name, raw[k], weighted[k], sum == 0 ? 0 : weighted[k] / sum))],
            health.Read()
        );
    }

    /// <summary>
    /// Unweighted terms and health metrics of a batch as sums, without gradient: the values of several batches add up to those of all
    /// their samples. Measured weights are not changed, terms count from the first step, and whole latents are decoded.
    /// </summary>
    /// <param name="inputs">Inputs of the batch; its position is ignored.</param>
    public (IReadOnlyDictionary<string, HealthFigure> Terms, IReadOnlyDictionary<string, HealthFigure> Health) Measure(
        ObjectiveInputs inputs
    )
    {
        ArgumentNullException.ThrowIfNull(inputs);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var health = new HealthLog(scope);
        var (terms, raw) = TermsOf(inputs with { Position = new(long.MaxValue / 2, 0, 1), StepLevels = null, Windows = null }, health);
        return (
            terms
                .Select((t, k) => (t.Objective.Name, Raw: raw[k], Count: DivisorOf(t, inputs)))
                .ToDictionary(static t => t.Name, static t => new HealthFigure(HealthKind.Ratio, t.Raw * t.Count, t.Count)),
            health.Read()
        );
    }

    /// <summary>Divisor of a term's sum over the batch.</summary>
    private static double DivisorOf(Term term, ObjectiveInputs inputs)
    {
        if (term.Decoded is not { } decoded)
            return term.Objective switch
            {
                LatentPreferenceObjective => inputs.Pairs?.Count ?? 0,
                PriorObjective => inputs.Prior,
                _ => inputs.CountOf(SampleRole.Imitated),
            };
        var objective = (IDecodedObjective)term.Objective;
        var active = decoded.Losses.Active;
        var count =
            objective.Role == SampleRole.Paired && inputs.Pairs is { Count: var pairs }
                ? Enumerable.Range(0, pairs).Count(k => active[k] && active[pairs + k])
                : decoded.Losses.ActiveCount;
        return objective.Divisor(inputs, objective.Role, count);
    }

    private (List<Term> Terms, double[] Raw) TermsOf(ObjectiveInputs inputs, HealthLog health)
    {
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

        return (terms, Ops.Stack(terms.Select(static t => t.Raw.Detach().To(DType.Float64)).ToArray()).ToArray<double>());
    }

    /// <summary>Names of the terms, in order.</summary>
    public IReadOnlyList<string> Names => [.. _all.Select(static o => o.Name)];

    /// <summary>Logs gradient norms and updates measured weights.</summary>
    private void Weigh(ObjectiveInputs inputs, List<Term> terms, double[] raw, double[] weights, double[] weighted, HealthLog health)
    {
        var squared = GradientNorms.Squared(inputs, terms);
        var recorded = Array.Exists(squared, static s => s is not null);
        double? anchor = _anchor >= 0 && squared[_anchor] is { } latent ? latent * weights[_anchor] * weights[_anchor] : null;
        // With all weights frozen there is no communication between processes: all weights froze at the same step.
        var open = recorded && _measured.Values.Any(static w => !w.IsFrozen);
        var others = open ? _average(_all.Select((o, k) => (o.Weight.Fixed ?? 0) * raw[k]).Sum()) : 0;
        var pull = open ? _average(anchor ?? 0) : 0;
        for (var k = 0; k < terms.Count; k++)
        {
            var name = terms[k].Objective.Name;
            var aside = k != _anchor && anchor is not null;
            // Without active samples in this micro-batch the term counts with a gradient of 0 in the step's ratio.
            var norm = squared[k] * weights[k] * weights[k] ?? (recorded && aside ? 0 : null);
            if (norm is { } known)
            {
                health.Add($"{name}/gradient_norm", new(HealthKind.Norm, known, 1));
                if (aside)
                    health.Add($"{name}/gradient_ratio", new(HealthKind.NormRatio, known, anchor!.Value));
            }

            if (_measured.TryGetValue(name, out var weight))
            {
                if (open && !weight.IsFrozen)
                    weight.Observe(_average(weight.OfGradients ? squared[k] ?? 0 : raw[k]), weight.OfGradients ? pull : others);
                health.Ratio($"{name}/weight", weights[k], 1);
            }
            else if (k != _anchor && recorded && terms[k].Objective is not PriorObjective)
            {
                _watch.Observe(name, norm, anchor, weighted[k], weighted.Sum());
            }
        }

        if (recorded && inputs.Position.IsLast)
            Commit();
    }

    private void Commit()
    {
        foreach (var (name, weight) in _measured)
        {
            if (weight.Commit())
                _notes.Add(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"the weight of {name} is {weight.Value:G4} from now on ({_all.First(o => o.Name == name).Weight})"
                    )
                );
        }

        _notes.AddRange(
            _watch.Commit(
                _all.Where((o, k) => k != _anchor && o.Weight.Fixed is not null)
                    .ToDictionary(static o => o.Name, static o => o.Weight.Fixed!.Value)
            )
        );
    }
}

/// <summary>A term during evaluation.</summary>
/// <param name="Objective">The term's objective.</param>
/// <param name="Raw">Unweighted scalar.</param>
/// <param name="Decoded">Per-sample losses and gradients, for objectives that decode.</param>
internal sealed record Term(IObjective Objective, Tensor Raw, DecodedLoss? Decoded);
