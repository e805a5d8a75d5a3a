using System.Security.Cryptography;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Torch;
using Retouch.Torch.Io;
using Retouch.Torch.Nn;

namespace Retouch.Evaluation.Features;

/// <summary>Weights that the user gives for a feature network: read into it, and identified by their hash.</summary>
public static class FeatureWeights
{
    private const int Shown = 8;

    /// <summary>Reads a file into a network as float32; what the network does not have is ignored only where told.</summary>
    /// <param name="store">The network's parameters.</param>
    /// <param name="file">A <c>.safetensors</c> file, or what PyTorch pickled (<c>.pth</c>), which is read without running anything in
    /// it.</param>
    /// <param name="network">What the file should hold, for messages.</param>
    /// <param name="ignored">Keys that may be there and are not used.</param>
    /// <param name="device">Where the network runs.</param>
    /// <exception cref="InputException">The file cannot be read, or its keys or shapes are another network's.</exception>
    public static void Load(ParameterStore store, string file, string network, Func<string, bool> ignored, Device device)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(ignored);
        using var weights = TensorFile.Open(file);
        var source = new RenamedTensors(weights, name => ignored(name) ? null : name);
        if (store.Compare(source) is { Count: > 0 } problems)
            throw new InputException(
                $"'{file}' does not hold the weights of {network}: {string.Join("; ", Excerpt.First(problems, Shown))}. Give the file "
                    + $"that does."
            );
        store.Load(source, device, DType.Float32, file);
        store.RequireGrad(false);
    }

    /// <summary>Channels of the stages that LPIPS's linear weights are for, from <c>lin0.model.1.weight</c> on.</summary>
    /// <exception cref="InputException">The file cannot be read or holds none.</exception>
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
            : throw new InputException($"'{file}' holds no 'lin0.model.1.weight': these are not the lpips package's linear weights.");
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
