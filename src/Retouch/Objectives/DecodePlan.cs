using Retouch.Autoencoders;
using Retouch.Objectives.Preference;
using Retouch.Torch;
using Retouch.Torch.Diagnostics;

namespace Retouch.Objectives;

/// <summary>Per-sample losses of one objective and their gradient.</summary>
/// <param name="Losses">Losses [batch], in the graph of the latents.</param>
/// <param name="Source">Latents that require grad, [batch, channels, height, width].</param>
/// <param name="Gradient">Gradient of each sample's loss with respect to its latents, of their shape; null without autograd.</param>
internal sealed record DecodedLoss(SampleLosses Losses, Tensor Source, Tensor? Gradient)
{
    /// <summary>Part of the pictures' area that was decoded. The squared norm of the whole pictures' gradient is about this part of that
    /// of a window's, which is zero outside the window.</summary>
    public double Share { get; init; } = 1;
}

/// <summary>
/// Decodes once for all objectives: active samples only, up to the deepest requested tap, in micro-batches. The loss of a sample depends
/// only on its own latents, so each micro-batch is differentiated immediately, down to its latents; its decoder activations are freed, and
/// the main graph receives the stored gradient. Values and gradients equal those of a single graph over the batch. With
/// <see cref="ObjectiveInputs.Windows"/> only windows of the latents are decoded, the same of target and estimate.
/// </summary>
/// <param name="autoencoder">Provides the decoder.</param>
/// <param name="decodeBatch">Samples per decoder call; 0 for all.</param>
/// <param name="checkpoint">Enables activation checkpointing in the decoder.</param>
/// <param name="clock">Receives the <see cref="DecodePhases"/>, or null.</param>
internal sealed class DecodePlan(IAutoencoder autoencoder, int decodeBatch, bool checkpoint, PhaseClock? clock = null)
{
    /// <summary>Evaluates the objectives, in order.</summary>
    public DecodedLoss[] Run(ObjectiveInputs inputs, IReadOnlyList<IDecodedObjective> objectives, HealthLog health)
    {
        using var scope = TensorScope.Enter();
        var needs = objectives.Select(o => Restrict(NeedOf(o, inputs), inputs, o.Role)).ToArray();
        var results = new DecodedLoss[needs.Length];
        foreach (var group in Enumerable.Range(0, needs.Length).GroupBy(k => (needs[k].Estimate, needs[k].Mix)))
        {
            int[] members = [.. group];
            var main = inputs.EstimateOf(needs[members[0]]);
            var sinks = members.ToDictionary(static k => k, k => new Sink(main, needs[k].Reference));
            foreach (var (samples, active) in Groups(inputs.Batch, members, needs))
                Decode(inputs, main, samples, [.. active.Select(k => new Member(objectives[k], needs[k], sinks[k]))], health);
            foreach (var k in members)
                results[k] = sinks[k].Finish(needs[k].Active, inputs.CountOf(objectives[k].Role), scope) with
                {
                    Share = inputs.Windows?.Share ?? 1,
                };
            scope.Keep(main);
        }

        return results;
    }

    /// <summary>The need of an objective; no active samples before its start step.</summary>
    private static DecodeNeed NeedOf(IDecodedObjective objective, ObjectiveInputs inputs)
    {
        var need = objective.Need(inputs);
        return objective.Ramp(inputs.Position.Step) > 0 ? need : need with { Active = new bool[need.Active.Length] };
    }

    private static DecodeNeed Restrict(DecodeNeed need, ObjectiveInputs inputs, SampleRole role) =>
        inputs is { Pairs: null, Prior: 0 } && role == SampleRole.Imitated
            ? need
            : need with
            {
                Active = [.. need.Active.Select((a, i) => a && inputs.Concerns(role, i))],
            };

    /// <summary>Micro-batches in which all samples have the same active objectives.</summary>
    private IEnumerable<(int[] Samples, int[] Active)> Groups(int batch, int[] members, DecodeNeed[] needs)
    {
        var groups = Enumerable
            .Range(0, batch)
            .GroupBy(i => string.Join(',', members.Where(k => needs[k].Active[i])))
            .Where(static g => g.Key.Length > 0);
        foreach (var group in groups)
        {
            int[] active = [.. members.Where(k => needs[k].Active[group.First()])];
            foreach (var samples in group.Chunk(decodeBatch > 0 ? decodeBatch : batch))
                yield return (samples, active);
        }
    }

    private void Decode(ObjectiveInputs inputs, Tensor main, int[] samples, Member[] members, HealthLog health)
    {
        using var scope = TensorScope.Enter();
        var index = Tensor.From(Array.ConvertAll(samples, static i => (long)i)).To(main.Device);
        var windows = inputs.Windows?.Of(samples);
        var targets = new Dictionary<DecodeSource, Decoded>();
        foreach (var group in members.Where(static m => m.Need.Target is not null).GroupBy(static m => m.Need.Target!.Value))
        {
            using var quiet = Autograd.NoGrad();
            using var phase = clock?.Enter(DecodePhases.Target);
            targets[group.Key] = Decoded.Run(
                autoencoder,
                Pick(inputs.LatentsOf(group.Key).Detach(), index),
                [.. group.Select(static m => m.Need)],
                windows,
                checkpoint: false
            );
        }

        var images = inputs.Images is null ? null : Pick(inputs.Images, index);
        var mask = inputs.Mask?.Of(index);
        if (windows is not null)
            (images, mask) = (images is null ? null : windows.Pixels(images), mask?.In(windows));
        var references = References(inputs, index, images, members, targets, windows);
        var differentiate = members[0].Sink.Gradient is not null;
        var leaf = Pick(main.Detach(), index);
        leaf.RequiresGrad = differentiate;
        using var mode = differentiate ? Autograd.WithGrad() : Autograd.NoGrad();
        Decoded estimate;
        using (clock?.Enter(DecodePhases.Estimate))
            estimate = Decoded.Run(autoencoder, leaf, [.. members.Select(static m => m.Need)], windows, checkpoint && differentiate);
        Tensor[] losses;
        using (clock?.Enter(DecodePhases.Features))
        {
            losses =
            [
                .. members.Select(m =>
                    m.Objective.PerSample(
                        new DecodedSamples(estimate.For(m.Need), m.Need.Target is { } t ? targets[t].For(m.Need) : null, images)
                        {
                            Mask = mask,
                            Windows = windows,
                        },
                        health
                    )
                ),
            ];
            health.Hold();
        }

        using var backward = clock?.Enter(DecodePhases.Backward);
        for (var k = 0; k < members.Length; k++)
        {
            var gradient = differentiate ? Autograd.Grad([losses[k].Sum()], [leaf], retainGraph: k < members.Length - 1)[0] : null;
            members[k].Sink.Add(index, losses[k], references[k], gradient);
        }
    }

    /// <summary>
    /// Losses of the reference model against the decoded targets, one entry per member; null for members without a reference.
    /// </summary>
    private Tensor?[] References(
        ObjectiveInputs inputs,
        Tensor index,
        Tensor? images,
        Member[] members,
        Dictionary<DecodeSource, Decoded> targets,
        DecodeWindows? windows
    )
    {
        var losses = new Tensor?[members.Length];
        if (!Array.Exists(members, static m => m.Need.Reference))
            return losses;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var comparing = members.Where(static m => m.Need.Reference).ToArray();
        Decoded decoded;
        using (clock?.Enter(DecodePhases.Reference))
        {
            var latents = Pick(inputs.ReferenceEstimateOf(comparing[0].Need).Detach(), index);
            decoded = Decoded.Run(autoencoder, latents, [.. comparing.Select(static m => m.Need)], windows, checkpoint: false);
        }

        using var phase = clock?.Enter(DecodePhases.Features);
        // Health metrics describe the trained model only.
        var discarded = new HealthLog(scope);
        for (var k = 0; k < members.Length; k++)
        {
            if (members[k] is { Need: { Reference: true } need, Objective: var objective })
                losses[k] = scope.Keep(
                    objective.PerSample(
                        new DecodedSamples(decoded.For(need), need.Target is { } t ? targets[t].For(need) : null, images)
                        {
                            Windows = windows,
                        },
                        discarded
                    )
                );
        }

        return losses;
    }

    private static Tensor Pick(Tensor x, Tensor index) => x.IndexSelect(0, index);

    private sealed record Member(IDecodedObjective Objective, DecodeNeed Need, Sink Sink);

    /// <summary>Result of one decoder call, shared by all members.</summary>
    private sealed record Decoded(int[] Taps, DecodedTaps Result)
    {
        public static Decoded Run(IAutoencoder autoencoder, Tensor latents, DecodeNeed[] needs, DecodeWindows? windows, bool checkpoint)
        {
            int[] taps = [.. needs.SelectMany(static n => n.Taps).Distinct().Order()];
            var request = new TapRequest(taps, needs.Any(static n => n.Rgb), checkpoint);
            return new Decoded(taps, DecodeWindows.Decode(autoencoder, latents, request, windows));
        }

        public DecodedTaps For(DecodeNeed need) =>
            new([.. need.Taps.Select(t => Result.Features[Array.IndexOf(Taps, t)])], need.Rgb ? Result.Rgb : null);
    }

    /// <summary>Accumulates the values and gradients of one objective over micro-batches.</summary>
    private sealed class Sink(Tensor main, bool reference)
    {
        private readonly Tensor _values = Ops.Zeros([main.Shape[0]], dtype: main.DType, device: main.Device);

        private readonly Tensor? _reference = reference ? Ops.Zeros([main.Shape[0]], dtype: main.DType, device: main.Device) : null;

        /// <summary>Gradient with respect to the latents; null without autograd.</summary>
        public Tensor? Gradient { get; } = Autograd.IsEnabled && main.RequiresGrad ? Ops.ZerosLike(main.Detach()) : null;

        public void Add(Tensor index, Tensor values, Tensor? reference, Tensor? gradient)
        {
            using var quiet = Autograd.NoGrad();
            _values.IndexAddInPlace(0, index, values.Detach().To(_values.DType));
            if (reference is not null)
                _reference!.IndexAddInPlace(0, index, reference.To(_values.DType));
            if (gradient is not null)
                Gradient!.IndexAddInPlace(0, index, gradient);
        }

        public DecodedLoss Finish(bool[] active, int samples, TensorScope scope)
        {
            if (_reference is not null)
                scope.Keep(_reference);
            if (Gradient is null)
                return new DecodedLoss(new SampleLosses(scope.Keep(_values), _reference, active, samples), main, null);
            // The graph outlives all open scopes; it frees its copy itself.
            var kept = Gradient.Share().Escape();
            var values = Autograd.Function(
                [main],
                [_values],
                g => [g[0] is { } flow ? flow.View([-1L, 1, 1, 1]) * kept : null],
                kept.Dispose
            )[0];
            return new DecodedLoss(new SampleLosses(scope.Keep(values), _reference, active, samples), main, scope.Keep(Gradient));
        }
    }
}
