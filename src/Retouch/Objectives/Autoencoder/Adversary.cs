using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Optim;

namespace Retouch.Objectives.Autoencoder;

/// <summary>
/// A discriminator with its optimiser, trained beside an autoencoder with the hinge loss (Lim and Ye, "Geometric GAN", 2017), as in Esser
/// et al., "Taming Transformers for High-Resolution Image Synthesis" (2021). It computes in float32.
/// </summary>
public sealed class Adversary : IDisposable
{
    private const string WeightPrefix = "network.";
    private const string StatePrefix = "optimiser.";
    private const string StepsKey = "steps";

    // The settings of adversarial training since Radford et al. (2016): a short first moment, no weight decay.
    private static readonly AdamWOptions Moments = new()
    {
        Beta1 = 0.5,
        Beta2 = 0.9,
        WeightDecay = 0,
    };

    private readonly AdversarialOptions _options;
    private readonly ParameterStore _store = new();
    private readonly Discriminator _network;
    private readonly AdamW _optimiser;
    private bool _observed;

    /// <param name="options">Validated options.</param>
    /// <param name="generator">Draws the initial weights.</param>
    /// <param name="device">Device of the discriminator.</param>
    public Adversary(AdversarialOptions options, Generator generator, Device device)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _network = new Discriminator(_store.Root, options.Channels, options.Layers);
        _store.Initialise(generator, device);
        _optimiser = new AdamW(_store.Trained, Moments);
    }

    /// <summary>Its parameters.</summary>
    public ParameterStore Parameters => _store;

    /// <summary>Memory of weights and moments in bytes.</summary>
    public long StateBytes => GradientBytes + _optimiser.StateBytes;

    /// <summary>Memory of the gradients in bytes.</summary>
    public long GradientBytes => _store.Count * sizeof(float);

    /// <summary>Whether the term counts, and the discriminator is trained, in a step.</summary>
    /// <param name="step">Completed optimiser steps before it.</param>
    public bool IsActive(long step) => step >= _options.Start;

    /// <summary>Gradients of the discriminator, one per parameter; null before <see cref="Observe"/>.</summary>
    public IReadOnlyList<Tensor>? Gradients => _observed ? [.. _store.Trained.Select(static p => p.Value.Grad!)] : null;

    /// <summary>
    /// Generator's loss: the negative mean logit of reconstructions; differentiable with respect to them, not to the discriminator.
    /// </summary>
    /// <param name="decoded">[batch, 3, height, width] in [−1, 1].</param>
    public Tensor Deception(Tensor decoded)
    {
        ArgumentNullException.ThrowIfNull(decoded);
        using var scope = TensorScope.Enter();
        _store.RequireGrad(false);
        return scope.Keep(-_network.Forward(decoded.To(DType.Float32)).Mean());
    }

    /// <summary>Adds the gradient of the hinge loss ½ mean(max(0, 1 − D(x)) + max(0, 1 + D(x̂))) to the discriminator's.</summary>
    /// <param name="images">Real pictures x, [batch, 3, height, width] in [−1, 1].</param>
    /// <param name="decoded">Reconstructions x̂ of the same shape.</param>
    /// <param name="factor">Multiplies the gradient: 1 over the number of accumulated batches.</param>
    /// <returns>The loss, and the mean logits of pictures and of reconstructions.</returns>
    public (double Loss, double Real, double Made) Observe(Tensor images, Tensor decoded, double factor)
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(decoded);
        using var scope = TensorScope.Enter();
        _store.RequireGrad(true);
        var (real, made) = (_network.Forward(images.To(DType.Float32)), _network.Forward(decoded.Detach().To(DType.Float32)));
        var loss = ((1 - real).Relu().Mean() + (made + 1).Relu().Mean()) * 0.5;
        Autograd.Backward(loss * factor);
        _observed = true;
        return (loss.Item(), real.Mean().Item(), made.Mean().Item());
    }

    /// <summary>Clears the gradients.</summary>
    public void ZeroGrad()
    {
        _optimiser.ZeroGrad();
        _observed = false;
    }

    /// <summary>Updates the discriminator from the gradients of this step, if it has any.</summary>
    public void Step()
    {
        if (_observed)
            _optimiser.Step(_options.LearningRate, 1, []);
    }

    /// <summary>Whether weights and moments are finite.</summary>
    public bool IsFinite() => _optimiser.IsFinite();

    /// <summary>Tensors for a checkpoint: weights, moments, number of updates; owned by the caller's scope or by this object.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State() =>
        [
            .. _store.Tensors().Select(static t => KeyValuePair.Create(WeightPrefix + t.Key, t.Value.Detach())),
            .. _optimiser.State().Select(static t => KeyValuePair.Create(StatePrefix + t.Key, t.Value)),
            KeyValuePair.Create(StepsKey, Tensor.From([_optimiser.Steps], 1)),
        ];

    /// <summary>Restores <see cref="State"/>.</summary>
    /// <param name="source">Tensors of a checkpoint.</param>
    /// <exception cref="Core.Errors.InputException">They are those of a discriminator with other settings.</exception>
    public void LoadState(ITensorSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        using var scope = TensorScope.Enter();
        _store.Load(
            new RenamedTensors(source, static name => Stripped(name, WeightPrefix)),
            _store.All[0].Value.Device,
            DType.Float32,
            "the checkpoint's discriminator"
        );
        _optimiser.LoadState(
            new RenamedTensors(source, static name => Stripped(name, StatePrefix)),
            source.ReadOwned(StepsKey).ToArray<long>()[0]
        );
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _optimiser.Dispose();
        _store.Dispose();
    }

    private static string? Stripped(string name, string prefix) =>
        name.StartsWith(prefix, StringComparison.Ordinal) ? name[prefix.Length..] : null;
}
