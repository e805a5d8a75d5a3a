using Retouch.Core.Errors;
using Retouch.Torch.Nn;
using Retouch.Torch.Pickle;
using Retouch.Torch.Safetensors;

namespace Retouch.Torch.Io;

/// <summary>Opens files of tensors of any format that is read.</summary>
public static class TensorFile
{
    /// <summary>Endings of the files that are read.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [".safetensors", ".bin", ".pth", ".pt", ".ckpt"];

    /// <summary>Opens a file by its ending: safetensors, or what PyTorch pickled.</summary>
    /// <exception cref="InputException">The file is missing, broken, hostile, or of another kind.</exception>
    public static ITensorFile Open(string path)
    {
        var extension = Path.GetExtension(path);
        if (!Extensions.Contains(extension, StringComparer.OrdinalIgnoreCase))
            throw new InputException($"'{path}' does not end like a file of tensors: {string.Join(", ", Extensions)}.");
        return extension.Equals(".safetensors", StringComparison.OrdinalIgnoreCase) ? SafetensorsFile.Open(path) : PickleFile.Open(path);
    }
}
