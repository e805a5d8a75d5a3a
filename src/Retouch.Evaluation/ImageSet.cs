using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Torch;

namespace Retouch.Evaluation;

/// <summary>
/// A set of pictures of one size that can be read again and again, a stretch at a time: files, drawn scenes, or tensors in memory. What
/// every source gives is what an 8-bit file would hold, so that rounding is the same for all.
/// </summary>
public abstract class ImageSet
{
    /// <summary>What tables and messages call the set.</summary>
    public abstract string Name { get; }

    /// <summary>Pictures, at least 1.</summary>
    public abstract int Count { get; }

    /// <summary>Pixels in a row of every picture.</summary>
    public abstract int Width { get; }

    /// <summary>Rows of every picture.</summary>
    public abstract int Height { get; }

    /// <summary>
    /// What was done to the pictures, for the record: the resize and its filter, or that there was none; how many were taken of how many.
    /// </summary>
    public abstract string Preparation { get; }

    /// <summary>
    /// Names a picture within its set. Sets whose pictures have the same names, in the same order, are compared picture by picture.
    /// </summary>
    public abstract string Id(int index);

    /// <summary>What a picture was made from or shows, in words; null where nothing is said.</summary>
    public virtual string? Caption(int index) => null;

    /// <summary>What was left out of the set, and what is to be known of it, in whole sentences.</summary>
    public virtual IReadOnlyList<string> Notes => [];

    /// <summary>Reads pictures.</summary>
    /// <param name="start">The first one's index.</param>
    /// <param name="count">How many.</param>
    /// <returns>[count, 3, height, width], float32 on the CPU, multiples of 1/255 in [0, 1].</returns>
    /// <exception cref="InputException">A picture cannot be read or has another size; the message names it.</exception>
    public abstract Tensor Read(int start, int count);

    /// <summary>The pictures of a folder and its subfolders, in the ordinal order of their paths.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="preparation">How many to take, and the resize.</param>
    public static ImageSet Open(string folder, SetPreparation? preparation = null) =>
        new SourceImages(folder, ImageFolder.Open(folder), preparation ?? new SetPreparation());

    /// <summary>The pictures of any source: a folder, procedural scenes.</summary>
    /// <param name="name">As <see cref="Name"/>.</param>
    /// <param name="source">The pictures.</param>
    /// <param name="preparation">How many to take, and the resize.</param>
    public static ImageSet From(string name, IPictureSource source, SetPreparation? preparation = null) =>
        new SourceImages(name, source, preparation ?? new SetPreparation());

    /// <summary>Pictures that a model put out.</summary>
    /// <param name="name">As <see cref="Name"/>.</param>
    /// <param name="images">[pictures, 3, height, width] in [−1, 1], any device; clamped, rounded to 8 bit and copied.</param>
    public static ImageSet From(string name, Tensor images) => new TensorImages(name, images);

    /// <summary>Whether the pictures of two sets belong together by name.</summary>
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

    /// <summary>What a model put out, [−1, 1], as <see cref="Read"/> gives it: clamped and rounded to 8 bit.</summary>
    /// <exception cref="InputException">A value is not finite.</exception>
    protected static Tensor FromModel(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        if (!images.Isfinite().All().ToArray<bool>()[0])
            throw new InputException("A model put out pictures with values that are not finite. Run it in float32, or check its weights.");
        return scope.Keep(((images.Detach().To(Device.Cpu).To(DType.Float32).Clamp(-1, 1) + 1) * 127.5).Round() / 255);
    }

    /// <summary>Bytes [count, RGB, height, width] as <see cref="Read"/> gives them.</summary>
    protected Tensor Levels(ReadOnlySpan<byte> planes, int count)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(Tensor.From(planes, count, 3, Height, Width).To(DType.Float32) / 255);
    }
}
