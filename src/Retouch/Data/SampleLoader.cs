using Retouch.Core.Errors;
using Retouch.Data.Pairs;

namespace Retouch.Data;

/// <summary>A sample ready for a batch.</summary>
/// <param name="Sample">What is known of it; of the replacement where the planned one cannot be used.</param>
/// <param name="Framed">The pixels.</param>
public sealed record LoadedSample(Sample Sample, FramedPicture Framed)
{
    /// <summary>The loser, where this is the winner of a pair; framed alike.</summary>
    public LoadedSample? Loser { get; init; }
}

/// <summary>
/// Reads and frames the samples of a plan. One that cannot be used is put into quarantine and replaced by another, found by a rule that
/// depends on (seed, epoch, index) only: the same files give the same batches, in whatever order threads read them.
/// </summary>
public sealed class SampleLoader
{
    private const int Attempts = 100;

    private readonly IPictureSource source;
    private readonly BatchPlan plan;

    /// <param name="source">Where samples come from.</param>
    /// <param name="plan">Made for the same number of samples.</param>
    /// <param name="framing">How they become pictures of one size.</param>
    /// <param name="quarantine">Takes what cannot be used.</param>
    /// <exception cref="UsageException">The framing is out of range.</exception>
    public SampleLoader(IPictureSource source, BatchPlan plan, Framing framing, Quarantine quarantine)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(framing);
        ArgumentNullException.ThrowIfNull(quarantine);
        if (source.Count != plan.Count)
            throw new ArgumentException($"The plan is for {plan.Count} samples, the source has {source.Count}.", nameof(plan));
        framing.Validate();
        this.source = source;
        this.plan = plan;
        Framing = framing;
        Quarantine = quarantine;
    }

    /// <summary>How samples become pictures of one size.</summary>
    public Framing Framing { get; }

    /// <summary>The sizes of the plan's groups; null where all pictures get the framing's own.</summary>
    public IReadOnlyList<BucketSize>? Sizes { get; init; }

    /// <summary>The framing of a sample: with the size of its group.</summary>
    public Framing FramingOf(int index) =>
        Sizes is { } sizes && sizes[plan.GroupOf(index)] is var size ? Framing with { Width = size.Width, Height = size.Height } : Framing;

    /// <summary>Whether each sample is a pair.</summary>
    public bool ReadsPairs => source is IPairSource;

    /// <summary>What could not be used so far.</summary>
    public Quarantine Quarantine { get; }

    /// <summary>Reads a sample, or its replacement.</summary>
    /// <exception cref="InputException">Too many samples cannot be used.</exception>
    public LoadedSample Load(PlannedSample planned)
    {
        var seed = plan.SampleSeed(planned);
        var random = new SplitMix64(SplitMix64.Derive(seed, 0x7265706C616365));
        var index = planned.Index;
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            if (TryLoad(index, FramingOf(planned.Index), seed) is { } loaded)
                return loaded;
            index = plan.Another(planned.Index, ref random);
        }

        throw new InputException(
            $"No replacement for '{source[planned.Index].Id}' was found in {Attempts} attempts; nearly all pictures seem to be "
                + $"unusable. Clean the data."
        );
    }

    private LoadedSample? TryLoad(int index, Framing framing, ulong seed)
    {
        if (Quarantine.Contains(index))
            return null;
        // Outside the try: a broken caption is for the user to mend, not to be passed over in silence.
        var sample = source[index].WithDrawnCaption(seed);
        try
        {
            var loaded = new LoadedSample(sample, framing.Apply(source.Load(index, framing.MinSide), seed, sample.Id));
            return source is IPairSource pairs ? loaded with { Loser = LoadLoser(pairs, index, framing, seed, loaded) } : loaded;
        }
        catch (InputException e)
        {
            Quarantine.Add(new QuarantinedPicture(index, sample.Id, e.Message));
            return null;
        }
    }

    // The same seed frames both: the same crop, and mirrored both or neither.
    private LoadedSample LoadLoser(IPairSource pairs, int index, Framing framing, ulong seed, LoadedSample winner)
    {
        var sample = pairs.Loser(index);
        var framed = framing.Apply(pairs.LoadLoser(index, framing.MinSide), seed, sample.Id);
        var (a, b) = (winner.Framed.Record, framed.Record);
        // Sides may differ by the rounding of a resize, not by shape: then the two would show different parts of the scene.
        const double Tolerance = 0.01;
        if (
            Math.Abs(((double)a.OriginalWidth * b.OriginalHeight) - ((double)b.OriginalWidth * a.OriginalHeight))
            > Tolerance * a.OriginalWidth * b.OriginalHeight
        )
        {
            throw new InputException(
                $"The winner '{winner.Sample.Id}' has {a.OriginalWidth} x {a.OriginalHeight} pixels and the loser '{sample.Id}' "
                    + $"{b.OriginalWidth} x {b.OriginalHeight}: of another shape, so that they would be cut differently. Bring them to "
                    + $"one shape."
            );
        }

        return new LoadedSample(sample, framed);
    }
}
