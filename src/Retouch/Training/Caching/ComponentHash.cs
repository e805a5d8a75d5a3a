using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Retouch.Autoencoders;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Training.Caching;

/// <summary>Content hash of a model component, for cache keys.</summary>
internal static class ComponentHash
{
    private static readonly ConcurrentDictionary<(string Path, long Length, DateTime Written), byte[]> Known = new();
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
            hash.AppendData(Encoding.UTF8.GetBytes(Path.GetFileName(file)));
            hash.AppendData(OfFile(file));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Hash of the adapters of a text encoder: target, scale, and SHA-256 of the file.</summary>
    public static string Of(TextAdapters adapters) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{adapters.Encoder} {adapters.Strength:R} {Convert.ToHexStringLower(OfFile(LoraFile.Locate(adapters.File)))}"
        );

    // Text encoders of gigabytes are part of several hashes at the start of a run.
    private static byte[] OfFile(string path)
    {
        var info = new FileInfo(path);
        return Known.GetOrAdd(
            (info.FullName, info.Length, info.LastWriteTimeUtc),
            static key =>
            {
                using var stream = File.OpenRead(key.Path);
                return SHA256.HashData(stream);
            }
        );
    }

    /// <summary>
    /// SHA-256 over the configuration and weights of a network in memory, in hexadecimal. Independent of the file's order and type, so that
    /// a re-saved copy, such as a trained model's autoencoder, has the same hash.
    /// </summary>
    /// <param name="network">A network of a class known to <see cref="ComponentRegistry"/>, with weights.</param>
    public static string OfNetwork(object network) => OfNetwork(network, static _ => true);

    /// <summary><see cref="OfNetwork(object)"/> of the encoder alone, which determines cached latents.</summary>
    /// <param name="autoencoder">Autoencoder with weights; its decoder may be narrow (<see cref="FrozenParts"/>).</param>
    public static string OfEncoder(IAutoencoder autoencoder) => OfNetwork(autoencoder, static p => !FrozenParts.IsOfDecoder(p.Name));

    private static string OfNetwork(object network, Func<Parameter, bool> counts)
    {
        var kind = ComponentRegistry.Kinds.First(k => k.NetworkType == network.GetType());
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(kind.ClassNames[0] + kind.Describe(network).ToJsonString()));
        foreach (var parameter in kind.Parameters(network).All.Where(counts).OrderBy(static p => p.Name, StringComparer.Ordinal))
        {
            using var scope = TensorScope.Enter();
            using var quiet = Autograd.NoGrad();
            hash.AppendData(Encoding.UTF8.GetBytes($"{parameter.Name} [{string.Join(',', parameter.Shape)}]"));
            hash.AppendData(MemoryMarshal.AsBytes(parameter.Value.To(DType.Float32).To(Device.Cpu).ToArray<float>().AsSpan()));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
