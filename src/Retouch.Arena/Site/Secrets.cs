using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Retouch.Arena.Site;

/// <summary>Derives secret values from the study's key: stable across restarts, independent of each other.</summary>
internal sealed class Secrets(byte[] secret)
{
    private const int RandomBytes = 24;

    /// <summary>Access token of the owner.</summary>
    public string OwnerToken => Derive("owner token")[..32];

    /// <summary>Suffix of cookie names that distinguishes studies on one host, since cookies ignore ports.</summary>
    public string StudyMark => Derive("study mark")[..8];

    /// <summary>Keyed hash (HMAC-SHA-256) of the parts: 43 URL-safe characters.</summary>
    public string Derive(params ReadOnlySpan<string> parts)
    {
        // Length prefixes make the encoding of the parts unambiguous.
        var message = new StringBuilder();
        foreach (var part in parts)
            message.Append(part.Length).Append(':').Append(part);
        return Base64Url.EncodeToString(HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes(message.ToString())));
    }

    /// <summary>Cryptographically random text; not seeded, since it must be unpredictable.</summary>
    public static string NewRandom() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(RandomBytes));

    /// <summary>Comparison of two texts in constant time.</summary>
    public static bool Same(string? given, string expected) =>
        given is not null && CryptographicOperations.FixedTimeEquals(Hash(given), Hash(expected));

    /// <summary>SHA-256 of a text in hexadecimal, stored in place of a secret.</summary>
    public static string HashOf(string text) => Convert.ToHexStringLower(Hash(text));

    private static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));
}
