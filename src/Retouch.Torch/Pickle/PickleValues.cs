namespace Retouch.Torch.Pickle;

/// <summary>A dictionary of a pickle, in its order. Keys can be anything, so that nothing is hashed.</summary>
internal sealed class PickleDict
{
    /// <summary>Keys and values as they were set; of a key that was set twice the last counts.</summary>
    public List<KeyValuePair<object?, object?>> Items { get; } = [];

    /// <summary>The value under a text, or null.</summary>
    public object? Find(string key) => Items.FindLast(pair => pair.Key is string name && name == key).Value;
}

/// <summary>A tuple of a pickle.</summary>
internal sealed record PickleTuple(object?[] Items);

/// <summary>A name that a pickle refers to; only those of <see cref="PickleGlobals"/> come into being, and none is ever run.</summary>
internal sealed record PickleGlobal(string Module, string Name)
{
    public override string ToString() => $"{Module}.{Name}";
}

/// <summary>Numbers that tensors share.</summary>
/// <param name="Key">Which of the file's storages.</param>
/// <param name="DType">Their type; null for bytes whose type each tensor names.</param>
/// <param name="Start">First element that belongs to this view of the storage.</param>
/// <param name="Count">Elements, bytes where there is no type.</param>
/// <param name="RootCount">Elements of the whole storage.</param>
internal sealed record PickleStorage(string Key, DType? DType, long Start, long Count, long RootCount);

/// <summary>A tensor: a storage, looked at with strides.</summary>
/// <param name="Storage">Its numbers.</param>
/// <param name="DType">Their type.</param>
/// <param name="Offset">First element, from the start of the whole storage.</param>
/// <param name="Shape">Sizes of the dimensions.</param>
/// <param name="Strides">Elements from one index to the next, by dimension.</param>
internal sealed record PickleTensor(PickleStorage Storage, DType DType, long Offset, long[] Shape, long[] Strides)
{
    /// <summary>Number of elements.</summary>
    public long Count => Shape.Aggregate(1L, static (a, b) => a * b);

    /// <summary>Whether the elements lie in row-major order without gaps.</summary>
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
