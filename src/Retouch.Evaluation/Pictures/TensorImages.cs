using Retouch.Torch;

namespace Retouch.Evaluation.Pictures;

/// <summary>Pictures in memory, one byte per channel.</summary>
internal sealed class TensorImages : ImageSet
{
    private readonly byte[] _pixels;

    private readonly IReadOnlyList<string?>? _classes;

    public TensorImages(string name, Tensor images, IReadOnlyList<string?>? classes = null)
    {
        ArgumentNullException.ThrowIfNull(images);
        if (images.Shape is not [>= 1, 3, >= 1, >= 1])
            throw new ArgumentException(
                $"Pictures of shape [{string.Join(", ", images.Shape)}] are not [pictures, 3, height, width].",
                nameof(images)
            );
        if (classes is not null && classes.Count != images.Shape[0])
            throw new ArgumentException($"{images.Shape[0]} pictures, but {classes.Count} classes.", nameof(classes));
        (Name, _classes) = (name, classes);
        Count = (int)images.Shape[0];
        Height = (int)images.Shape[2];
        Width = (int)images.Shape[3];
        using var scope = TensorScope.Enter();
        _pixels = (FromModel(images) * 255).Round().ToArray<byte>();
    }

    public override string Name { get; }

    public override int Count { get; }

    public override int Width { get; }

    public override int Height { get; }

    public override string Preparation => $"{Count} pictures from memory, rounded to 8 bit";

    public override string Id(int index) => index.ToString("D6");

    public override string? ClassOf(int index) => _classes?[index];

    public override Tensor Read(int start, int count)
    {
        var size = 3 * Width * Height;
        return Levels(_pixels.AsSpan(checked(start * size), checked(count * size)), count);
    }
}
