using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Training.Options;

namespace Retouch.Training.HeldOut;

/// <summary>Training data and held-out samples of a run.</summary>
/// <param name="Training">Samples to train on.</param>
/// <param name="Singles">Single samples beside pairs, or null.</param>
/// <param name="HeldOut">Held-out samples; null without validation.</param>
internal sealed record HeldOutSplit(IPictureSource Training, IPictureSource? Singles, IPictureSource? HeldOut)
{
    private bool IsStored { get; init; }

    /// <summary>The split as it is stored in the run's folder.</summary>
    /// <param name="Count">validation.count.</param>
    /// <param name="Fraction">validation.fraction.</param>
    /// <param name="Samples">Names of the held-out samples.</param>
    private sealed record Stored(int? Count, double? Fraction, IReadOnlyList<string> Samples);

    /// <summary>Separates held-out samples from the training data.</summary>
    /// <param name="options">Resolved options.</param>
    /// <param name="source">Pictures or pairs.</param>
    /// <param name="singles">Single samples beside pairs, or null.</param>
    /// <param name="stored">File of the split of a resumed run; null for a new run.</param>
    /// <param name="note">Receives notes on the split.</param>
    /// <exception cref="RetouchException">The held-out samples are empty, or are also trained on.</exception>
    public static HeldOutSplit Of(
        TrainingOptions options,
        IPictureSource source,
        IPictureSource? singles,
        string? stored,
        Action<string> note
    )
    {
        if (options.Validation is not { } validation)
            return new(source, singles, null);
        return validation.Folder is { } folder
            ? Beside(options, folder, source, singles, note)
            : Within(options, validation, source, singles, stored, note);
    }

    /// <summary>The split with variants of captions for training; held-out captions have one, in its order.</summary>
    /// <param name="options">Resolved options.</param>
    /// <param name="note">Receives a note on the variants.</param>
    /// <exception cref="InputException">No caption of the training data has variants.</exception>
    public HeldOutSplit WithCaptions(TrainingOptions options, Action<string> note)
    {
        if (options.Data.Captions?.ToTags(options.Seed) is not { } tags)
            return this;
        RecaptionedPictures.Require(Training, tags);
        string[] how = [.. tags.Shuffle ? ["shuffled"] : Array.Empty<string>(), .. tags.Dropout > 0 ? ["dropped"] : Array.Empty<string>()];
        note($"Each caption has {tags.Variants} variants with tags {string.Join(" and ", how)} (data.captions).");
        return this with
        {
            Training = RecaptionedPictures.With(Training, tags),
            Singles = Singles is null ? null : RecaptionedPictures.With(Singles, tags),
            HeldOut = HeldOut is null ? null : RecaptionedPictures.With(HeldOut, tags.InOrder),
        };
    }

    /// <summary>Stores a new split of the training data, for resumed runs.</summary>
    /// <param name="options">Resolved options.</param>
    /// <param name="path">File in the run's folder.</param>
    public void Save(TrainingOptions options, string path)
    {
        if (HeldOut is null || IsStored || options.Validation is not { Folder: null } validation)
            return;
        string[] names = [.. Enumerable.Range(0, HeldOut.Count).Select(k => NameOf(HeldOut, k))];
        AtomicFile.WriteText(
            path,
            JsonSerializer.Serialize(new Stored(validation.Count, validation.Fraction, names), JsonStyles.Verbatim) + "\n"
        );
    }

    private static HeldOutSplit Beside(
        TrainingOptions options,
        string folder,
        IPictureSource source,
        IPictureSource? singles,
        Action<string> note
    )
    {
        var given = options.Data.Pairs is null
            ? (IPictureSource)
                ImageFolder.OpenSplit(folder, null, preferred: DataSplit.Validation, readsMasks: options.Data.Masks is not null)
            : PairSources.Open(folder, options.Data.PairConflicts);
        var all = RelabelledPictures.WithClassesOf(given, source);
        var count = Math.Min(options.Validation!.Count ?? ValidationOptions.DefaultCount, all.Count);
        var heldOut = ChosenPictures.Of(all, [.. Ranked(all).Take(count).Order()]);
        if (heldOut.FilesOf(0).Count > 0 && source.FilesOf(0).Count == 0 && !options.Data.IsScenes)
            note("The pictures of validation.folder are not compared with those in shards or Parquet files.");
        foreach (var trained in new[] { source, singles }.OfType<IPictureSource>())
        {
            var shared = new SameFiles(heldOut).In(trained);
            if (shared.Count > 0)
                throw new InputException(
                    $"{Figures.Count(shared.Count)} of the samples of '{folder}' are also in the training data, by path or by content: "
                        + $"{string.Join(", ", Excerpt.First([.. shared.Select(k => trained[k].Id)]))}. Remove them from one of the "
                        + "two, or leave out validation.folder to split samples off from the training data."
                );
        }

        return new(source, singles, heldOut);
    }

    private static HeldOutSplit Within(
        TrainingOptions options,
        ValidationOptions validation,
        IPictureSource source,
        IPictureSource? singles,
        string? stored,
        Action<string> note
    )
    {
        int[] chosen = stored is null ? Choose(validation, source) : Known(validation, source, stored);
        if (chosen.Length == 0)
            throw new InputException(
                $"The validation holds out none of {Figures.Count(source.Count, "sample")}; raise validation.fraction, or give "
                    + "validation.count or validation.folder."
            );
        var heldOut = ChosenPictures.Of(source, chosen);
        var same = new SameFiles(heldOut);
        var without = chosen.ToHashSet();
        var copies = same.In(source).Where(k => !without.Contains(k)).ToHashSet();
        int[] rest = [.. Enumerable.Range(0, source.Count).Where(k => !without.Contains(k) && !copies.Contains(k))];
        if (rest.Length == 0)
            throw new InputException(
                $"No sample remains for training: {Figures.Count(chosen.Length)} of {Figures.Count(source.Count)} are held out"
                    + $"{(copies.Count > 0 ? $", and the other {Figures.Count(copies.Count)} share pictures with them" : "")}. Lower "
                    + "validation.count or validation.fraction, or give validation.folder."
            );
        if (copies.Count > 0)
            note($"Not trained on, with the pictures of held-out samples: {Figures.Count(copies.Count, "sample")}.");
        if (singles is not null && same.In(singles) is { Count: > 0 } shared)
        {
            int[] others = [.. Enumerable.Range(0, singles.Count).Except(shared)];
            if (others.Length == 0)
                throw new InputException("All single samples of data.folder are among the held-out pairs; give other pictures.");
            note($"{Figures.Count(shared.Count)} single samples are not trained on, since they are held out.");
            singles = ChosenPictures.Of(singles, others);
        }

        return new(ChosenPictures.Of(source, rest), singles, heldOut) { IsStored = stored is not null };
    }

    private static int[] Choose(ValidationOptions validation, IPictureSource source)
    {
        if (validation.Fraction is { } fraction)
            return [.. Enumerable.Range(0, source.Count).Where(k => RankOf(source, k) < fraction * ulong.MaxValue)];
        var count = validation.Count ?? Math.Clamp(source.Count / 10, 1, ValidationOptions.DefaultCount);
        return [.. Ranked(source).Take(count).Order()];
    }

    private static int[] Known(ValidationOptions validation, IPictureSource source, string path)
    {
        if (!File.Exists(path))
            throw new UsageException(
                "The run was trained on all its samples, so none of them can be held out. Give other pictures with validation.folder."
            );
        var known = JsonFile.Read<Stored>(path, JsonStyles.Verbatim, "Restore a copy from a backup.");
        if (known.Count != validation.Count || known.Fraction != validation.Fraction)
            throw new UsageException(
                "The held-out samples of a run are fixed: validation.count and validation.fraction cannot change, since the run was "
                    + "trained on all others."
            );
        var names = known.Samples.ToHashSet(StringComparer.Ordinal);
        return [.. Enumerable.Range(0, source.Count).Where(k => names.Contains(NameOf(source, k)))];
    }

    /// <summary>All samples in the order of their ranks; pairs with the same prompt follow each other.</summary>
    private static IEnumerable<int> Ranked(IPictureSource source) =>
        Enumerable.Range(0, source.Count).OrderBy(k => RankOf(source, k)).ThenBy(static k => k);

    /// <summary>
    /// Pseudo-random number that depends on the sample's name only (on the prompt of a pair), so that runs over the same data hold out the
    /// same samples, and added data does not move them.
    /// </summary>
    private static ulong RankOf(IPictureSource source, int index)
    {
        var sample = source[index];
        var name = source is IPairSource ? sample.Caption ?? sample.Id : sample.Id;
        return BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(name)));
    }

    private static string NameOf(IPictureSource source, int index) =>
        source is IPairSource pairs ? $"{source[index].Id} > {pairs.Loser(index).Id}" : source[index].Id;
}
