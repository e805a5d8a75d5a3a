using Retouch.Core.Errors;
using Retouch.Torch.Nn;
using Retouch.Torch.Pickle;
using Retouch.Torch.Safetensors;

namespace Retouch.Torch.Io;

/// <summary>Opens tensor files of all supported formats.</summary>
public static class TensorFile
{
    /// <summary>Supported file extensions.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [".safetensors", ".bin", ".pth", ".pt", ".ckpt"];

    /// <summary>Opens a file by its extension: safetensors or PyTorch pickle.</summary>
    /// <exception cref="InputException">The file is missing, corrupt, hostile, or has another extension.</exception>
    public static ITensorFile Open(string path)
    {
        var extension = Path.GetExtension(path);
        if (!Extensions.Contains(extension, StringComparer.OrdinalIgnoreCase))
            throw new InputException($"'{path}' does not have the extension of a tensor file: {string.Join(", ", Extensions)}.");
        return extension.Equals(".safetensors", StringComparison.OrdinalIgnoreCase) ? SafetensorsFile.Open(path) : PickleFile.Open(path);
    }
}
