using System.Text;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>Reads untrusted tokenizer files: limited in size, every defect an <see cref="InputException"/>.</summary>
internal static class TokenizerBytes
{
    /// <summary>Maximum file size in bytes. The largest tokenizers in use have about 17 MB.</summary>
    public const int MaxBytes = 64 << 20;

    private const int MaxDepth = 32;
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Contents of a file.</summary>
    /// <exception cref="InputException">The file cannot be read or is too large.</exception>
    public static byte[] Read(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            if (stream.Length > MaxBytes)
                throw TooLarge(path, stream.Length);
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot read '{path}': {Reasons.Of(e)}.", e);
        }
    }

    /// <summary>Parses JSON and passes its root to <paramref name="read"/>.</summary>
    /// <exception cref="InputException">The bytes are not valid JSON, or a member that <paramref name="read"/> requires is
    /// missing or has the wrong type.</exception>
    public static T Json<T>(ReadOnlyMemory<byte> bytes, string origin, Func<JsonElement, T> read)
    {
        if (bytes.Length > MaxBytes)
            throw TooLarge(origin, bytes.Length);
        if (bytes.Span.StartsWith("\uFEFF"u8))
            bytes = bytes[3..];
        try
        {
            using var document = JsonDocument.Parse(
                bytes,
                new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false }
            );
            return read(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            // Unpaired surrogates and invalid UTF-8 are only detected when a string is read.
            throw new InputException($"'{origin}' is not valid tokenizer JSON: {Reasons.Of(e)}.", e);
        }
    }

    /// <summary>Decodes UTF-8.</summary>
    /// <exception cref="InputException">The bytes are not valid UTF-8 or too many.</exception>
    public static string Text(ReadOnlySpan<byte> bytes, string origin)
    {
        if (bytes.Length > MaxBytes)
            throw TooLarge(origin, bytes.Length);
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"'{origin}' is not UTF-8 text: {Reasons.Of(e)}.", e);
        }
    }

    /// <summary>Reads a token id from JSON.</summary>
    /// <exception cref="InputException">The value is not a whole number of at least 0.</exception>
    public static int Id(JsonElement value, string origin, string token) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var id) && id is >= 0 and < int.MaxValue
            ? id
            : throw new InputException(
                $"'{origin}': the token '{Short(token)}' has the id {Short(value.GetRawText())}, expected a whole number of at least 0."
            );

    /// <summary>Truncates a text to at most 40 characters for messages.</summary>
    public static string Short(string text) => text.Length <= 40 ? text : text[..40] + "…";

    private static InputException TooLarge(string origin, long length) =>
        new($"'{origin}' has {length >> 20} MiB; tokenizer files of at most {MaxBytes >> 20} MiB are supported.");
}
