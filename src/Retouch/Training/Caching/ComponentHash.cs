using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;
using Retouch.Torch;

namespace Retouch.Training.Caching;

/// <summary>Content hash of a model component, for cache keys.</summary>
internal static class ComponentHash
{
    private static readonly string[] Kinds = [".json", ".safetensors", ".bin", ".pth", ".txt", ".model"];

    /// <summary>SHA-256 over names and contents of the folder's files, in hexadecimal.</summary>
    public static string Of(string folder)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (
            var file in Directory
                .EnumerateFiles(folder)
                .Where(static f => Kinds.Contains(Path.GetExtension(f), StringComparer.Ordinal))
                .Order(StringComparer.Ordinal)
        )
        {
            using var stream = File.OpenRead(file);
            hash.AppendData(Encoding.UTF8.GetBytes(Path.GetFileName(file)));
            hash.AppendData(SHA256.HashData(stream));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Hash of the adapters of a text encoder: target, scale, and SHA-256 of the file.</summary>
    public static string Of(TextAdapters adapters)
    {
        using var stream = File.OpenRead(LoraFile.Locate(adapters.File));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{adapters.Encoder} {adapters.Strength:R} {Convert.ToHexStringLower(SHA256.HashData(stream))}"
        );
    }

    /// <summary>
    /// SHA-256 over the configuration and weights of a network in memory, in hexadecimal. Independent of the file's order and type, so that
    /// a re-saved copy, such as a trained model's autoencoder, has the same hash.
    /// </summary>
    /// <param name="network">A network of a class known to <see cref="ComponentRegistry"/>, with weights.</param>
    public static string OfNetwork(object network)
    {
        var kind = ComponentRegistry.Kinds.First(k => k.NetworkType == network.GetType());
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(kind.ClassNames[0] + kind.Describe(network).ToJsonString()));
        foreach (var parameter in kind.Parameters(network).All.OrderBy(static p => p.Name, StringComparer.Ordinal))
        {
            using var scope = TensorScope.Enter();
            using var quiet = Autograd.NoGrad();
            hash.AppendData(Encoding.UTF8.GetBytes($"{parameter.Name} [{string.Join(',', parameter.Shape)}]"));
            hash.AppendData(MemoryMarshal.AsBytes(parameter.Value.To(DType.Float32).To(Device.Cpu).ToArray<float>().AsSpan()));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
