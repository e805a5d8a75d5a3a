using Retouch.Core.Errors;
using Retouch.Torch.Safetensors;

namespace Retouch.Torch.Pickle;

/// <summary>
/// Allowed globals of a tensor pickle. Python imports and calls arbitrary globals, so that a file can execute any code; here each
/// allowed global has a fixed implementation, and every other one is refused.
/// </summary>
internal static class PickleGlobals
{
    /// <summary>
    /// Maximum excess of a tensor's elements over its storage: with strides of zero, a few bytes could otherwise claim any amount of
    /// memory.
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

    /// <summary>Looks up a global.</summary>
    /// <exception cref="InputException">The global is not needed by tensors.</exception>
    public static PickleGlobal Find(string module, string name, string origin)
    {
        var global = new PickleGlobal(module, name);
        if (Allowed.Contains(global.ToString()) || (module == "torch" && (Storages.ContainsKey(name) || DTypes.Find(name) is not null)))
            return global;
        throw new InputException(
            $"'{origin}' refers to {Shown(global)}, which is not needed for tensors. Code in such files is never executed: save "
                + $"only the model's state_dict, preferably as safetensors."
        );
    }

    /// <summary>Result of calling a global.</summary>
    /// <exception cref="PickleException">The arguments are invalid.</exception>
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
                : throw new PickleException("a parameter is not built from a tensor"),
            "_rebuild_tensor" or "_rebuild_tensor_v2" => Tensor(arguments, null),
            "_rebuild_tensor_v3" => Tensor(
                arguments,
                arguments.Length >= 7 && arguments[6] is PickleGlobal type && DTypes.Find(type.Name) is { } dtype
                    ? dtype
                    : throw new PickleException("a tensor has an unsupported dtype")
            ),
            _ => throw new PickleException($"{global} is called"),
        };

    /// <summary>Storage of a persistent id: ('storage', type, key, location, elements[, view]).</summary>
    /// <exception cref="PickleException">The id is not that of a storage.</exception>
    public static PickleStorage Storage(object? id)
    {
        if (id is not PickleTuple { Items: [string and "storage", PickleGlobal type, string key, _, long count, ..] } tuple || count < 0)
            throw new PickleException("a persistent id is not a storage");
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
            throw new PickleException("a view of a storage is out of bounds");
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
            throw new PickleException("a dictionary is not built from a list of pairs");
        foreach (var pair in pairs)
        {
            var items = pair switch
            {
                PickleTuple tuple => tuple.Items,
                List<object?> list => [.. list.Take(3)],
                _ => [],
            };
            if (items.Length != 2)
                throw new PickleException("a dictionary is not built from pairs");
            dictionary.Items.Add(new(items[0], items[1]));
        }

        return dictionary;
    }

    /// <summary>Arguments: (storage, offset, size, stride, …).</summary>
    private static PickleTensor Tensor(object?[] arguments, DType? dtype)
    {
        if (arguments is not [PickleStorage storage, long offset, PickleTuple size, PickleTuple stride, ..])
            throw new PickleException("a tensor is not built from storage, offset, sizes and strides");
        var type = dtype ?? storage.DType ?? throw new PickleException("a tensor over untyped bytes has no dtype");
        var (shape, strides) = (Numbers(size), Numbers(stride));
        if (shape.Length != strides.Length || shape.Length > SafetensorsHeader.MaxDim || offset < 0)
            throw new PickleException($"a tensor has {shape.Length} sizes, {strides.Length} strides and offset {offset}");
        // An untyped storage is counted in bytes.
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

/// <summary>A malformed pickle; the reader adds the file name.</summary>
internal sealed class PickleException(string message) : Exception(message);
