namespace Retouch.Torch.Pickle;

/// <summary>A dictionary of a pickle, in order. Keys can be any object, so nothing is hashed.</summary>
internal sealed class PickleDict
{
    /// <summary>Keys and values in insertion order; for a duplicate key the last value is used.</summary>
    public List<KeyValuePair<object?, object?>> Items { get; } = [];

    /// <summary>Value under a string key, or null.</summary>
    public object? Find(string key) => Items.FindLast(pair => pair.Key is string name && name == key).Value;
}

/// <summary>A tuple of a pickle.</summary>
internal sealed record PickleTuple(object?[] Items);

/// <summary>A global of a pickle. Only those of <see cref="PickleGlobals"/> are created, and none is executed.</summary>
internal sealed record PickleGlobal(string Module, string Name)
{
    public override string ToString() => $"{Module}.{Name}";
}

/// <summary>Elements shared by tensors.</summary>
/// <param name="Key">Key of the storage in the file.</param>
/// <param name="DType">Element type; null for untyped bytes, whose dtype each tensor specifies.</param>
/// <param name="Start">First element of this view of the storage.</param>
/// <param name="Count">Number of elements, or bytes without a dtype.</param>
/// <param name="RootCount">Number of elements of the whole storage.</param>
internal sealed record PickleStorage(string Key, DType? DType, long Start, long Count, long RootCount);

/// <summary>A strided view of a storage.</summary>
/// <param name="Storage">Storage.</param>
/// <param name="DType">Element type.</param>
/// <param name="Offset">First element, from the start of the whole storage.</param>
/// <param name="Shape">Sizes of the dimensions.</param>
/// <param name="Strides">Element strides by dimension.</param>
internal sealed record PickleTensor(PickleStorage Storage, DType DType, long Offset, long[] Shape, long[] Strides)
{
    /// <summary>Number of elements.</summary>
    public long Count => Shape.Aggregate(1L, static (a, b) => a * b);

    /// <summary>Whether the elements are in row-major order without gaps.</summary>
    public bool IsContiguous
    {
        get
        {
            var expected = 1L;
            for (var k = Shape.Length - 1; k >= 0; k--)
            {
                if (Shape[k] != 1 && Strides[k] != expected)
                    return false;
                expected *= Shape[k];
            }

            return true;
        }
    }
}
