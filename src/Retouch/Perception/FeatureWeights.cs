using System.Security.Cryptography;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Torch;
using Retouch.Torch.Io;
using Retouch.Torch.Nn;

namespace Retouch.Perception;

/// <summary>User-provided weights of a feature network, identified by their hash.</summary>
public static class FeatureWeights
{
    private const int Shown = 8;

    /// <summary>Reads a file into a network, as float32; keys unknown to the network are errors unless ignored explicitly.</summary>
    /// <param name="store">Parameters of the network.</param>
    /// <param name="file">A <c>.safetensors</c> file, or a file pickled by PyTorch (<c>.pth</c>); no code in it is executed.</param>
    /// <param name="network">Name of the network, for messages.</param>
    /// <param name="ignored">Whether a key is permitted but unused.</param>
    /// <param name="device">Device of the network.</param>
    /// <exception cref="InputException">The file cannot be read, or its keys or shapes do not match the network.</exception>
    public static void Load(ParameterStore store, string file, string network, Func<string, bool> ignored, Device device)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(ignored);
        using var weights = TensorFile.Open(file);
        var source = new RenamedTensors(weights, name => ignored(name) ? null : name);
        if (store.Compare(source) is { Count: > 0 } problems)
            throw new InputException(
                $"'{file}' does not contain the weights of {network}: {string.Join("; ", Excerpt.First(problems, Shown))}."
            );
        store.Load(source, device, DType.Float32, file);
        store.RequireGrad(false);
    }

    /// <summary>Numbers of channels of the stages in a file of LPIPS's linear weights, starting at <c>lin0.model.1.weight</c>.</summary>
    /// <exception cref="InputException">The file cannot be read or has no such weights.</exception>
    internal static int[] Channels(string file)
    {
        using var weights = TensorFile.Open(file);
        var names = weights.Names.ToHashSet(StringComparer.Ordinal);
        List<int> channels = [];
        for (var name = "lin0.model.1.weight"; names.Contains(name); name = $"lin{channels.Count}.model.1.weight")
        {
            if (weights.ShapeOf(name) is not [1, >= 1 and <= 65536 and var width, 1, 1])
                throw new InputException(
                    $"'{name}' in '{file}' has the shape [{string.Join(", ", weights.ShapeOf(name))}]; LPIPS's linear weights are "
                        + $"[1, channels, 1, 1]."
                );
            channels.Add((int)width);
        }

        return channels.Count > 0
            ? [.. channels]
            : throw new InputException($"'{file}' has no 'lin0.model.1.weight'. Give the linear weights of the lpips package.");
    }

    /// <summary>SHA-256 of a file, lower-case hexadecimal.</summary>
    /// <exception cref="InputException">The file cannot be read.</exception>
    public static string Hash(string file)
    {
        try
        {
            using var stream = File.OpenRead(file);
            return Convert.ToHexStringLower(SHA256.HashData(stream));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot read '{file}': {Reasons.Of(e)}.", e);
        }
    }
}
