using System.Security.Cryptography;
using System.Text;

namespace Retouch.Training.Caching;

/// <summary>The hash of a component folder: what is made with its network depends on nothing else of it.</summary>
internal static class ComponentHash
{
    private static readonly string[] Kinds = [".json", ".safetensors", ".bin", ".pth", ".txt", ".model"];

    /// <summary>SHA-256 over names and contents of the folder's files, as hexadecimal digits.</summary>
    public static string Of(string folder)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in Directory.EnumerateFiles(folder).Where(static f => Kinds.Contains(Path.GetExtension(f), StringComparer.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var stream = File.OpenRead(file);
            hash.AppendData(Encoding.UTF8.GetBytes(Path.GetFileName(file)));
            hash.AppendData(SHA256.HashData(stream));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
