using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Torch;

namespace Retouch.Evaluation.Pictures;

/// <summary>
/// Set of pictures of one size, readable repeatedly and in ranges: files, procedural scenes, or tensors in memory. All values are rounded
/// to 8 bit.
/// </summary>
public abstract class ImageSet
{
    /// <summary>Name in tables and messages.</summary>
    public abstract string Name { get; }

    /// <summary>Folder of the pictures, or of the model they are samples of; null for others.</summary>
    public string? Origin { get; private init; }

    /// <summary>Number of pictures, at least 1.</summary>
    public abstract int Count { get; }

    /// <summary>Width of all pictures in pixels.</summary>
    public abstract int Width { get; }

    /// <summary>Height of all pictures in pixels.</summary>
    public abstract int Height { get; }

    /// <summary>
    /// Preparation of the pictures, for the protocol: resize and filter, number of pictures used and available.
    /// </summary>
    public abstract string Preparation { get; }

    /// <summary>
    /// Name of a picture within its set. Sets with equal names in equal order are paired.
    /// </summary>
    public abstract string Id(int index);

    /// <summary>Caption or prompt of a picture; null without one.</summary>
    public virtual string? Caption(int index) => null;

    /// <summary>Class name of a picture; null if unknown.</summary>
    public virtual string? ClassOf(int index) => null;

    /// <summary>Remarks on the set, such as skipped pictures, as sentences.</summary>
    public virtual IReadOnlyList<string> Notes => [];

    /// <summary>Reads pictures.</summary>
    /// <param name="start">Index of the first picture.</param>
    /// <param name="count">Number of pictures.</param>
    /// <returns>[count, 3, height, width], float32 on the CPU, multiples of 1/255 in [0, 1].</returns>
    /// <exception cref="InputException">A picture cannot be read or has another size; the message names it.</exception>
    public abstract Tensor Read(int start, int count);

    /// <summary>Reads all pictures in batches, without recording gradients.</summary>
    /// <param name="size">Pictures per batch.</param>
    /// <param name="device">Device of the batches.</param>
    /// <param name="action">Called with the index of each batch's first picture and the batch, [batch, 3, height, width] in [0, 1]; the
    /// batch is freed afterwards.</param>
    /// <param name="tick">Receives the number of pictures of each batch.</param>
    public void ForEachBatch(int size, Device device, Action<int, Tensor> action, Action<int>? tick = null)
    {
        ArgumentNullException.ThrowIfNull(action);
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        for (var start = 0; start < Count; start += size)
        {
            using var scope = TensorScope.Enter();
            using var quiet = Autograd.NoGrad();
            var count = Math.Min(size, Count - start);
            action(start, Read(start, count).To(device));
            tick?.Invoke(count);
        }
    }

    /// <summary>Pictures of a folder and its subfolders, in ordinal order of their paths.</summary>
    /// <param name="folder">Path of the folder.</param>
    /// <param name="preparation">Number of pictures, and resize.</param>
    public static ImageSet Open(string folder, SetPreparation? preparation = null) =>
        From(folder, ImageFolder.Open(folder), preparation, folder);

    /// <summary>Pictures of any source: a folder, procedural scenes.</summary>
    /// <param name="name">Value of <see cref="Name"/>.</param>
    /// <param name="source">Source of the pictures.</param>
    /// <param name="preparation">Number of pictures, and resize.</param>
    /// <param name="origin">Value of <see cref="Origin"/>.</param>
    public static ImageSet From(string name, IPictureSource source, SetPreparation? preparation = null, string? origin = null) =>
        new SourceImages(name, source, preparation ?? new SetPreparation()) { Origin = origin };

    /// <summary>Output pictures of a model.</summary>
    /// <param name="name">Value of <see cref="Name"/>.</param>
    /// <param name="images">[pictures, 3, height, width] in [−1, 1], on any device; clamped, rounded to 8 bit and copied.</param>
    /// <param name="classes">Class name of each picture, or null.</param>
    /// <param name="origin">Value of <see cref="Origin"/>.</param>
    public static ImageSet From(string name, Tensor images, IReadOnlyList<string?>? classes = null, string? origin = null) =>
        new TensorImages(name, images, classes) { Origin = origin };

    /// <summary>Whether two sets are paired: equal names in equal order.</summary>
    public bool PairsWith(ImageSet other)
    {
        ArgumentNullException.ThrowIfNull(other);
        if (Count != other.Count)
            return false;
        for (var i = 0; i < Count; i++)
        {
            if (!string.Equals(Id(i), other.Id(i), StringComparison.Ordinal))
                return false;
        }

        return true;
    }

    /// <summary>Model output in [−1, 1], in the form of <see cref="Read"/>: clamped and rounded to 8 bit.</summary>
    /// <exception cref="InputException">A value is not finite.</exception>
    protected static Tensor FromModel(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        if (!images.Isfinite().All().ToArray<bool>()[0])
            throw new InputException("A model's output is not finite. Run it in float32, or check its weights.");
        return scope.Keep(((images.Detach().To(Device.Cpu).To(DType.Float32).Clamp(-1, 1) + 1) * 127.5).Round() / 255);
    }

    /// <summary>Bytes [count, RGB, height, width] in the form of <see cref="Read"/>.</summary>
    protected Tensor Levels(ReadOnlySpan<byte> planes, int count)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(Tensor.From(planes, count, 3, Height, Width).To(DType.Float32) / 255);
    }
}
