using Retouch.Core.Errors;
using Retouch.Torch.Safetensors;

namespace Retouch.Torch.Pickle;

/// <summary>
/// What a pickle of tensors may name, and what is made of it. Python would import the names and call them, which lets a file do anything;
/// here each stands for a few lines below, and every other name is refused.
/// </summary>
internal static class PickleGlobals
{
    /// <summary>
    /// A tensor may have this many elements more than its storage: strides of zero would otherwise claim any amount of memory for a few
    /// bytes.
    /// </summary>
    private const long MostRepeated = 1 << 16;

    private static readonly Dictionary<string, DType> Storages = new(StringComparer.Ordinal)
    {
        ["ByteStorage"] = DType.UInt8,
        ["CharStorage"] = DType.Int8,
        ["ShortStorage"] = DType.Int16,
        ["IntStorage"] = DType.Int32,
        ["LongStorage"] = DType.Int64,
        ["HalfStorage"] = DType.Float16,
        ["FloatStorage"] = DType.Float32,
        ["DoubleStorage"] = DType.Float64,
        ["BoolStorage"] = DType.Bool,
        ["BFloat16Storage"] = DType.BFloat16,
    };

    private static readonly Dictionary<string, DType> Types = new(StringComparer.Ordinal)
    {
        ["uint8"] = DType.UInt8,
        ["int8"] = DType.Int8,
        ["int16"] = DType.Int16,
        ["int32"] = DType.Int32,
        ["int64"] = DType.Int64,
        ["float16"] = DType.Float16,
        ["float32"] = DType.Float32,
        ["float64"] = DType.Float64,
        ["bool"] = DType.Bool,
        ["bfloat16"] = DType.BFloat16,
    };

    private static readonly HashSet<string> Allowed = new(StringComparer.Ordinal)
    {
        "collections.OrderedDict",
        "builtins.dict",
        "__builtin__.dict",
        "builtins.set",
        "__builtin__.set",
        "torch.Size",
        "torch.device",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
        "torch._utils._rebuild_parameter",
        "torch.storage.UntypedStorage",
        "torch.storage._UntypedStorage",
        "torch.UntypedStorage",
    };

    /// <summary>Takes a name that a pickle refers to.</summary>
    /// <exception cref="InputException">It is none of those that tensors need.</exception>
    public static PickleGlobal Find(string module, string name, string origin)
    {
        var global = new PickleGlobal(module, name);
        if (Allowed.Contains(global.ToString()) || (module == "torch" && (Storages.ContainsKey(name) || Types.ContainsKey(name))))
            return global;
        throw new InputException(
            $"'{origin}' refers to {Shown(global)}, which is more than tensors. Nothing in such a file is ever run here: save the "
                + $"model's state_dict alone, best as safetensors."
        );
    }

    /// <summary>What a call of a name gives.</summary>
    /// <exception cref="PickleException">The arguments make no sense.</exception>
    public static object? Call(PickleGlobal global, object?[] arguments) =>
        global.Name switch
        {
            "OrderedDict" or "dict" => Dictionary(arguments),
            "set" => arguments.Length == 1 && arguments[0] is List<object?> items ? items : new List<object?>(),
            "Size" or "device" => arguments.Length >= 1
                ? arguments[0]
                : throw new PickleException($"{global} is called without an argument"),
            "_rebuild_parameter" => arguments.Length >= 1 && arguments[0] is PickleTensor tensor
                ? tensor
                : throw new PickleException("a parameter is made of something else than a tensor"),
            "_rebuild_tensor" or "_rebuild_tensor_v2" => Tensor(arguments, null),
            "_rebuild_tensor_v3" => Tensor(
                arguments,
                arguments.Length >= 7 && arguments[6] is PickleGlobal type && Types.TryGetValue(type.Name, out var dtype)
                    ? dtype
                    : throw new PickleException("a tensor has no usable type")
            ),
            _ => throw new PickleException($"{global} is called"),
        };

    /// <summary>The storage that a persistent id stands for: ('storage', type, key, place, elements[, view]).</summary>
    /// <exception cref="PickleException">It stands for something else.</exception>
    public static PickleStorage Storage(object? id)
    {
        if (id is not PickleTuple { Items: [string and "storage", PickleGlobal type, string key, _, long count, ..] } tuple || count < 0)
            throw new PickleException("an outside object is no storage");
        DType? dtype =
            Storages.TryGetValue(type.Name, out var known) ? known
            : type.Name.EndsWith("UntypedStorage", StringComparison.Ordinal) ? null
            : throw new PickleException($"a storage has the type {type}");
        if (tuple.Items.Length < 6 || tuple.Items[5] is null)
            return new PickleStorage(key, dtype, 0, count, count);
        if (
            tuple.Items[5] is not PickleTuple { Items: [string, long start, long length] }
            || start < 0
            || length < 0
            || start > count
            || length > count - start
        )
            throw new PickleException("a view of a storage lies outside it");
        return new PickleStorage(key, dtype, start, length, count);
    }

    private static string Shown(PickleGlobal global)
    {
        const int Most = 120;
        var text = string.Concat(global.ToString().Select(static c => char.IsControl(c) ? '?' : c));
        return text.Length <= Most ? text : text[..Most] + "…";
    }

    private static PickleDict Dictionary(object?[] arguments)
    {
        var dictionary = new PickleDict();
        if (arguments.Length == 0)
            return dictionary;
        if (arguments[0] is not List<object?> pairs)
            throw new PickleException("a dictionary is made of something else than a list of pairs");
        foreach (var pair in pairs)
        {
            var items = pair switch
            {
                PickleTuple tuple => tuple.Items,
                List<object?> list => [.. list.Take(3)],
                _ => [],
            };
            if (items.Length != 2)
                throw new PickleException("a dictionary is made of something else than pairs");
            dictionary.Items.Add(new(items[0], items[1]));
        }

        return dictionary;
    }

    /// <summary>(storage, offset, size, stride, …).</summary>
    private static PickleTensor Tensor(object?[] arguments, DType? dtype)
    {
        if (arguments is not [PickleStorage storage, long offset, PickleTuple size, PickleTuple stride, ..])
            throw new PickleException("a tensor is made of something else than storage, offset, sizes and strides");
        var type = dtype ?? storage.DType ?? throw new PickleException("a tensor over bytes has no type");
        var (shape, strides) = (Numbers(size), Numbers(stride));
        if (shape.Length != strides.Length || shape.Length > SafetensorsHeader.MaxDim || offset < 0)
            throw new PickleException($"a tensor has {shape.Length} sizes, {strides.Length} strides and offset {offset}");
        // A storage without a type counts in bytes.
        var available = storage.DType is null ? storage.Count / type.Size() : storage.Count;
        Int128 last = offset;
        Int128 elements = 1;
        for (var k = 0; k < shape.Length; k++)
        {
            last += (Int128)Math.Max(shape[k] - 1, 0) * strides[k];
            elements *= shape[k];
            if (elements > long.MaxValue / 8 || last > long.MaxValue / 8)
                throw new PickleException($"a tensor claims the impossible size [{string.Join(", ", shape)}]");
        }

        if (elements > 0 && last >= available)
            throw new PickleException(
                $"a tensor of shape [{string.Join(", ", shape)}] reaches to element {last} of a storage with {available}"
            );
        if (elements > available + MostRepeated)
            throw new PickleException($"a tensor of shape [{string.Join(", ", shape)}] repeats the {available} elements of its storage");
        return new PickleTensor(storage, type, storage.Start + offset, shape, strides);
    }

    private static long[] Numbers(PickleTuple tuple) =>
        Array.ConvertAll(
            tuple.Items,
            static item =>
                item is long and >= 0 ? (long)item : throw new PickleException("sizes and strides must be whole numbers of at least 0")
        );
}

/// <summary>A pickle makes no sense; what reads the file says which one.</summary>
internal sealed class PickleException(string message) : Exception(message);
