using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;
using Retouch.Perception;
using Retouch.Torch;
using Retouch.Torch.Optim;

namespace Retouch.Evaluation.Features;

/// <summary>Options of the training of a feature network.</summary>
public sealed record FeatureTrainingOptions
{
    /// <summary>Number of epochs, 1 to 10,000.</summary>
    [Bounds(AtLeast = 1, AtMost = 10_000)]
    public int Epochs { get; init; } = 12;

    /// <summary>Pictures per step, 1 to 4096.</summary>
    [Bounds(AtLeast = 1, AtMost = 4096)]
    public int BatchSize { get; init; } = 64;

    /// <summary>Peak learning rate of AdamW, in (0, 1]: linear warm-up over a tenth of the steps, then cosine decay to 0.</summary>
    [Bounds(Above = 0, AtMost = 1)]
    public double LearningRate { get; init; } = 2e-3;

    /// <summary>One in this many pictures is held out to measure the accuracy, at least 2.</summary>
    [Bounds(AtLeast = 2)]
    public int KeptOneIn { get; init; } = 10;

    /// <summary>Side of the network's input in pixels, a multiple of 16 up to 1024.</summary>
    public int Size { get; init; } = 64;

    /// <summary>Channels of the first stage, a multiple of 4 up to 1024.</summary>
    public int Channels { get; init; } = 32;

    /// <summary>Seed of initialisation, order and held-out pictures.</summary>
    public ulong Seed { get; init; }

    /// <summary>Device of the training.</summary>
    public Device Device { get; init; } = Device.Cpu;

    /// <summary>Checks the options.</summary>
    /// <exception cref="UsageException">An option is out of range.</exception>
    public void Validate()
    {
        var check = Requirements.OfFlags((nameof(KeptOneIn), "the period of held-out pictures"));
        check.Members(this);
        check.That(Size is >= 16 and <= 1024 && Size % 16 == 0, nameof(Size), $"is {Size}; it must be a multiple of 16 up to 1024");
        check.That(
            Channels is >= 4 and <= 1024 && Channels % 4 == 0,
            nameof(Channels),
            $"is {Channels}; it must be a multiple of 4 up to 1024"
        );
        check.Throw();
    }
}

/// <summary>Progress of the training of a feature network.</summary>
/// <param name="Epoch">Completed epochs.</param>
/// <param name="Epochs">Number of epochs.</param>
/// <param name="Loss">Mean cross-entropy of the epoch.</param>
public readonly record struct FeatureTrainingProgress(int Epoch, int Epochs, double Loss);

/// <summary>Training of a feature network on labelled pictures.</summary>
public static class FeatureTraining
{
    private const double WeightDecay = 0.05;
    private const double WarmUp = 0.1;
    private const long CacheBytes = 1L << 30;

    /// <summary>
    /// Trains a network, measures its accuracy on held-out pictures, and saves it. On one machine, the same seed gives the same network.
    /// </summary>
    /// <param name="source">Pictures with labels.</param>
    /// <param name="folder">Output folder.</param>
    /// <param name="options">Training options.</param>
    /// <param name="progress">Receives the progress after each epoch.</param>
    /// <param name="cancellation">Cancels between steps; nothing is saved then.</param>
    /// <exception cref="UsageException">An option is out of range.</exception>
    /// <exception cref="InputException">Fewer than two classes, a picture without a label, or too few pictures.</exception>
    /// <exception cref="DivergedException">The loss is not finite.</exception>
    public static FeatureNetworkConfig Run(
        IPictureSource source,
        string folder,
        FeatureTrainingOptions options,
        Action<FeatureTrainingProgress>? progress = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var (kept, trained) = Split(source, options);
        var framing = new Framing
        {
            Width = options.Size,
            Height = options.Size,
            AllowEnlarging = true,
            FlipProbability = 0.5,
        };
        var pictures = new CachedPictures(source, framing.MinSide, CacheBytes);
        var config = new FeatureNetworkConfig
        {
            Size = options.Size,
            Channels = options.Channels,
            Classes = source.Classes,
            Pictures = trained.Length,
        };
        using var network = new RetouchFeatures(config);
        using (var generator = Generator.Create(Device.Cpu, SplitMix64.Derive(options.Seed, 0x66656174)))
            network.Parameters.Initialise(generator, options.Device);
        network.Parameters.RequireGrad(true);
        using var optimiser = new AdamW(network.Parameters.Trained, new AdamWOptions { WeightDecay = WeightDecay });
        var steps = options.Epochs * ((trained.Length + options.BatchSize - 1) / options.BatchSize);
        for (var epoch = 0; epoch < options.Epochs; epoch++)
        {
            var sum = 0.0;
            Shuffle(trained, SplitMix64.Derive(options.Seed, 0x73687566, (ulong)epoch));
            foreach (var batch in trained.Chunk(options.BatchSize))
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = TensorScope.Enter();
                var (images, labels) = Batch(
                    pictures,
                    batch,
                    framing,
                    SplitMix64.Derive(options.Seed, 0x666C6970, (ulong)epoch),
                    options.Device
                );
                var loss = network.Logits(images).CrossEntropyLoss(labels);
                optimiser.ZeroGrad();
                Autograd.Backward(loss);
                optimiser.Step(options.LearningRate * Rate((double)optimiser.Steps / steps), 1, []);
                sum += loss.Item() * batch.Length;
            }

            optimiser.ZeroGrad();
            if (!double.IsFinite(sum))
                throw new DivergedException($"The loss in epoch {epoch + 1} is not finite. Nothing was saved. Lower the learning rate.");
            progress?.Invoke(new FeatureTrainingProgress(epoch + 1, options.Epochs, sum / trained.Length));
        }

        var result = config with { Accuracy = Accuracy(network, pictures, kept, framing with { FlipProbability = 0 }, options) };
        network.Save(folder, result);
        return result;
    }

    /// <summary>Learning rate relative to its peak, by the completed share of the training.</summary>
    internal static double Rate(double share) =>
        share < WarmUp ? share / WarmUp : 0.5 * (1 + Math.Cos(Math.PI * (share - WarmUp) / (1 - WarmUp)));

    private static (int[] Kept, int[] Trained) Split(IPictureSource source, FeatureTrainingOptions options)
    {
        if (source.Classes.Count < 2)
            throw new InputException(
                $"The pictures have {(source.Classes.Count == 0 ? "no classes" : "one class")}; a feature network needs at least 2. Put "
                    + $"the pictures of each class into a separate folder."
            );
        int[] all = [.. Enumerable.Range(0, source.Count)];
        if (all.FirstOrDefault(i => source[i].Label is null, -1) is >= 0 and var bare)
            throw new InputException($"The picture '{source[bare].Id}' has no class. Move it to a class folder or remove it.");
        Shuffle(all, SplitMix64.Derive(options.Seed, 0x6B656570));
        var kept = source.Count / options.KeptOneIn;
        return kept > 0
            ? (all[..kept], all[kept..])
            : throw new InputException($"{source.Count} pictures are too few to hold out one in {options.KeptOneIn}.");
    }

    private static void Shuffle(int[] items, ulong seed)
    {
        var random = new SplitMix64(seed);
        // Shuffled from a fixed order, so that the order of an epoch does not depend on previous epochs.
        Array.Sort(items);
        for (var i = items.Length - 1; i > 0; i--)
        {
            var j = random.NextInt(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    private static (Tensor Images, Tensor Labels) Batch(IPictureSource source, int[] indices, Framing framing, ulong seed, Device device)
    {
        var plane = Picture.Channels * framing.Width * framing.Height;
        var planes = new byte[indices.Length * plane];
        Parallel.For(
            0,
            indices.Length,
            k =>
                framing
                    .Apply(source.Load(indices[k], framing.MinSide), SplitMix64.Derive(seed, (ulong)indices[k]), source[indices[k]].Id)
                    .Picture.CopyToPlanes(planes.AsSpan(k * plane, plane))
        );
        var images = Tensor.From(planes, indices.Length, Picture.Channels, framing.Height, framing.Width).To(DType.Float32) / 255;
        var labels = Tensor.From([.. indices.Select(i => (long)source[i].Label!.Value)], indices.Length);
        return (images.To(device), labels.To(device));
    }

    private static double Accuracy(
        RetouchFeatures network,
        IPictureSource source,
        int[] kept,
        Framing framing,
        FeatureTrainingOptions options
    )
    {
        var right = 0L;
        foreach (var batch in kept.Chunk(options.BatchSize))
        {
            using var scope = TensorScope.Enter();
            using var quiet = Autograd.NoGrad();
            var (images, labels) = Batch(source, batch, framing, 0, options.Device);
            right += (long)network.Logits(images).Argmax(1).Eq(labels).Sum().Item();
        }

        return (double)right / kept.Length;
    }
}
