using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Retouch.Arena.Site;

/// <summary>Derives whatever nobody may guess from the study's secret: the same after every restart, unrelated to each other.</summary>
internal sealed class Secrets(byte[] secret)
{
    private const int RandomBytes = 24;

    /// <summary>What lets the owner in.</summary>
    public string OwnerToken => Derive("owner token")[..32];

    /// <summary>Tells this study's cookies from those of another on the same host: cookies do not heed ports.</summary>
    public string StudyMark => Derive("study mark")[..8];

    /// <summary>A text that only this study derives from these parts: 43 characters that can stand in an address.</summary>
    public string Derive(params ReadOnlySpan<string> parts)
    {
        // Lengths in front: no two lists of parts read the same.
        var message = new StringBuilder();
        foreach (var part in parts)
            message.Append(part.Length).Append(':').Append(part);
        return Base64Url.EncodeToString(HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes(message.ToString())));
    }

    /// <summary>A text that nobody can foresee. Not from a seed: it must be unknown, not repeatable.</summary>
    public static string NewRandom() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(RandomBytes));

    /// <summary>Whether two texts are the same, in a time that does not tell where they differ.</summary>
    public static bool Same(string? given, string expected) =>
        given is not null && CryptographicOperations.FixedTimeEquals(Hash(given), Hash(expected));

    /// <summary>The hash of a text, in hexadecimal: what is kept in place of what must stay secret.</summary>
    public static string HashOf(string text) => Convert.ToHexStringLower(Hash(text));

    private static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));
}
