using System.Runtime.ExceptionServices;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Evaluation.Pictures;

/// <summary>Selection and resize of a source's pictures.</summary>
public sealed record SetPreparation
{
    /// <summary>
    /// Side in pixels after a resize of the shorter side and a centre crop; null for no resize.
    /// </summary>
    public int? Size { get; init; }

    /// <summary>Filter of the resize, as implemented by Pillow.</summary>
    public ResizeFilter Filter { get; init; } = ResizeFilter.Lanczos;

    /// <summary>Whether smaller pictures are enlarged; by default they are an error, since enlarged pictures lack high
    /// frequencies.</summary>
    public bool AllowEnlarging { get; init; }

    /// <summary>Number of pictures, at least 1; null for all.</summary>
    public int? Take { get; init; }

    /// <summary>Seed of the selection, if not all pictures are used.</summary>
    public ulong Seed { get; init; }
}

/// <summary>Pictures of an <see cref="IPictureSource"/>, read on demand and in parallel.</summary>
internal sealed class SourceImages : ImageSet
{
    private const int MostExamined = 1000;

    private readonly IPictureSource _source;
    private readonly int[] _indices;
    private readonly Framing? _framing;

    public SourceImages(string name, IPictureSource source, SetPreparation preparation)
    {
        ArgumentNullException.ThrowIfNull(source);
        Name = name;
        _source = source;
        if (preparation.Take is < 1)
            throw new UsageException($"{preparation.Take} pictures: must be at least 1.");
        if (preparation.Take > source.Count)
            throw new InputException(
                $"{preparation.Take} pictures were requested, but '{name}' has {source.Count}. Request fewer or add pictures."
            );
        _indices = Draw(source.Count, preparation.Take ?? source.Count, preparation.Seed);
        if (preparation.Size is { } size)
        {
            _framing = new Framing
            {
                Width = size,
                Height = size,
                Filter = preparation.Filter,
                AllowEnlarging = preparation.AllowEnlarging,
                ShrinkOnLoad = false,
            };
            _framing.Validate();
            (Width, Height) = (size, size);
        }
        else
        {
            var first = source.Load(_indices[0]);
            (Width, Height) = (first.Picture.Width, first.Picture.Height);
        }

        var taken = _indices.Length == source.Count ? $"all {Count}" : $"{Count} of {source.Count}, drawn with seed {preparation.Seed}";
        var resize = _framing is null
            ? "as they are"
            : $"shorter side to {_framing.Width} by {_framing.Filter.ToString().ToLowerInvariant()} (Pillow), cut from the middle"
                + (_framing.AllowEnlarging ? ", enlarged where smaller" : "");
        Preparation = $"{taken}; {resize}";
    }

    public override string Name { get; }

    public override int Count => _indices.Length;

    public override IReadOnlyList<string> Notes => _source.Notes;

    public override int Width { get; }

    public override int Height { get; }

    public override string Preparation { get; }

    // Without the extension: the same picture may be a JPEG in one folder and a PNG in another.
    public override string Id(int index) => Path.ChangeExtension(_source[_indices[index]].Id, null);

    public override string? Caption(int index) => _source[_indices[index]].Caption;

    // Sampled pictures have the number of their class as label, and its name as text.
    public override string? ClassOf(int index) =>
        _source[_indices[index]] is not { Label: { } label } sample ? null
        : _source.HasNumberedClasses && int.TryParse(_source.Classes[label], out _) ? sample.Caption ?? _source.Classes[label]
        : _source.Classes[label];

    public override Tensor Read(int start, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Count - start);
        var size = Picture.Channels * Width * Height;
        var planes = new byte[checked(count * size)];
        try
        {
            Parallel.For(0, count, slot => Load(_indices[start + slot]).CopyToPlanes(planes.AsSpan(slot * size, size)));
        }
        catch (AggregateException e)
            when (e.Flatten().InnerExceptions.OfType<RetouchException>().MinBy(static x => x.Message) is { } mendable)
        {
            ExceptionDispatchInfo.Throw(WithOthers(mendable, start));
        }

        return Levels(planes, count);
    }

    /// <summary>The error, or one that covers all unusable pictures among the next ones.</summary>
    private RetouchException WithOthers(RetouchException first, int start)
    {
        var count = Math.Min(MostExamined, Count - start);
        var reasons = new string?[count];
        Parallel.For(
            0,
            count,
            slot =>
            {
                try
                {
                    Load(_indices[start + slot]);
                }
                catch (InputException e)
                {
                    reasons[slot] = e.Message;
                }
            }
        );
        (string File, string Reason)[] faults =
        [
            .. reasons.Select((reason, slot) => (_source[_indices[start + slot]].Id, reason!)).Where(static f => f.Item2 is not null),
        ];
        return faults.Length < 2
            ? first
            : new InputException(
                $"{faults.Length} pictures of '{Name}' are unusable"
                    + (start + count < Count ? $", of numbers {start + 1} to {start + count}" : "")
                    + $":\n  {string.Join("\n  ", PictureFaults.Lines(faults))}"
            );
    }

    private static int[] Draw(int total, int take, ulong seed)
    {
        var all = new int[total];
        for (var i = 0; i < total; i++)
            all[i] = i;
        if (take == total)
            return all;
        var random = new SplitMix64(SplitMix64.Derive(seed, 0x737562736574));
        for (var i = 0; i < take; i++)
        {
            var j = i + random.NextInt(total - i);
            (all[i], all[j]) = (all[j], all[i]);
        }

        Array.Resize(ref all, take);
        Array.Sort(all);
        return all;
    }

    private Picture Load(int index)
    {
        var loaded = _source.Load(index);
        if (_framing is not null)
            return _framing.Apply(loaded, seed: 0, _source[index].Id).Picture;
        if ((loaded.Picture.Width, loaded.Picture.Height) != (Width, Height))
        {
            throw new InputException(
                $"The picture '{_source[index].Id}' of '{Name}' has {loaded.Picture.Width} x {loaded.Picture.Height} pixels, "
                    + $"the others {Width} x {Height}. "
                    + "Resize all with --size or remove it."
            );
        }

        return loaded.Picture;
    }
}
