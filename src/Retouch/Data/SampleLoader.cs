using Retouch.Core.Errors;
using Retouch.Data.Pairs;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>A sample ready for a batch.</summary>
/// <param name="Sample">Metadata; those of the replacement if the planned sample is unusable.</param>
/// <param name="Framed">Pixels.</param>
public sealed record LoadedSample(Sample Sample, FramedPicture Framed)
{
    /// <summary>The loser if this is the winner of a pair, with the same crop and flip; else null.</summary>
    public LoadedSample? Loser { get; init; }

    /// <summary>The mask, with the picture's crop and flip; null without a mask, or if masks are not read.</summary>
    public Picture? Mask { get; init; }
}

/// <summary>
/// Reads, resizes and crops the samples of a plan. An unusable sample is quarantined and replaced by another, chosen by (seed, epoch,
/// index) only: the same files give the same batches, whatever the order of the threads.
/// </summary>
public sealed class SampleLoader
{
    private const int Attempts = 100;
    private const ulong ReplacementPurpose = 0x7265706C616365;

    private readonly IPictureSource _source;
    private readonly BatchPlan _plan;

    /// <param name="source">Sample source.</param>
    /// <param name="plan">Batch plan for the same number of samples.</param>
    /// <param name="framing">Resize and crop options.</param>
    /// <param name="quarantine">Receives unusable samples.</param>
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
        _source = source;
        _plan = plan;
        Framing = framing;
        Quarantine = quarantine;
    }

    /// <summary>Resize and crop options.</summary>
    public Framing Framing { get; }

    /// <summary>Picture sizes of the plan's groups; null to use the framing's size for all.</summary>
    public IReadOnlyList<BucketSize>? Sizes { get; init; }

    /// <summary>Whether masks are read.</summary>
    public bool ReadsMasks { get; init; }

    /// <summary>Framing of a sample, with the size of its group.</summary>
    public Framing FramingOf(int index) =>
        Sizes is { } sizes && sizes[_plan.GroupOf(index)] is var size ? Framing with { Width = size.Width, Height = size.Height } : Framing;

    /// <summary>Whether the samples are pairs.</summary>
    public bool ReadsPairs => _source is IPairSource;

    /// <summary>Unusable samples found so far.</summary>
    public Quarantine Quarantine { get; }

    /// <summary>Reads a sample, or its replacement.</summary>
    /// <exception cref="InputException">Too many samples are unusable.</exception>
    public LoadedSample Load(PlannedSample planned)
    {
        var seed = _plan.SampleSeed(planned);
        var random = new SplitMix64(SplitMix64.Derive(seed, ReplacementPurpose));
        var index = planned.Index;
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            if (TryLoad(index, FramingOf(planned.Index), seed) is { } loaded)
                return loaded;
            index = _plan.Another(planned.Index, ref random);
        }

        throw new InputException(
            $"No replacement for '{_source[planned.Index].Id}' was found in {Attempts} attempts; nearly all pictures seem to be "
                + $"unusable. Clean the data."
        );
    }

    /// <summary>Metadata of the sample that <see cref="Load"/> returns, from the unusable samples found so far.</summary>
    public Sample Known(PlannedSample planned)
    {
        var seed = _plan.SampleSeed(planned);
        var random = new SplitMix64(SplitMix64.Derive(seed, ReplacementPurpose));
        var index = planned.Index;
        while (Quarantine.Contains(index))
            index = _plan.Another(planned.Index, ref random);
        return _source[index].WithDrawnCaption(seed);
    }

    private LoadedSample? TryLoad(int index, Framing framing, ulong seed)
    {
        if (Quarantine.Contains(index))
            return null;
        // Outside the try block: a malformed caption is an error for the user, not a reason for quarantine.
        var sample = _source[index].WithDrawnCaption(seed);
        try
        {
            var loaded = new LoadedSample(sample, framing.Apply(_source.Load(index, framing.MinSide), seed, sample.Id));
            if (ReadsMasks && _source.LoadMask(index) is { } mask)
                loaded = loaded with { Mask = framing.ApplyTo(mask, loaded.Framed, sample.Id) };
            return _source is IPairSource pairs ? loaded with { Loser = LoadLoser(pairs, index, framing, seed, loaded) } : loaded;
        }
        catch (InputException e)
        {
            Quarantine.Add(new QuarantinedPicture(index, sample.Id, e.Message));
            return null;
        }
    }

    // Both are framed with the same seed: the same crop and flip.
    private LoadedSample LoadLoser(IPairSource pairs, int index, Framing framing, ulong seed, LoadedSample winner)
    {
        var sample = pairs.Loser(index);
        var framed = framing.Apply(pairs.LoadLoser(index, framing.MinSide), seed, sample.Id);
        var (a, b) = (winner.Framed.Record, framed.Record);
        // Resizing may round the sides, but another aspect ratio would crop winner and loser to different parts of the scene.
        const double Tolerance = 0.01;
        if (
            Math.Abs(((double)a.OriginalWidth * b.OriginalHeight) - ((double)b.OriginalWidth * a.OriginalHeight))
            > Tolerance * a.OriginalWidth * b.OriginalHeight
        )
        {
            throw new InputException(
                $"The winner '{winner.Sample.Id}' has {a.OriginalWidth} x {a.OriginalHeight} pixels and the loser '{sample.Id}' "
                    + $"{b.OriginalWidth} x {b.OriginalHeight}: their aspect ratios differ, so that they would be cropped differently. "
                    + $"Give them the same aspect ratio."
            );
        }

        return new LoadedSample(sample, framed);
    }
}
