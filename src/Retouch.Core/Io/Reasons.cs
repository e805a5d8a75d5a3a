using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Retouch.Core.Io;

/// <summary>
/// Readable reasons of runtime failures, without the runtime's messages, error numbers and type names.
/// </summary>
public static partial class Reasons
{
    // errno values, which .NET stores in the HResult of I/O exceptions.
    private static readonly Dictionary<int, string> Numbers = new()
    {
        [1] = "it is not permitted",
        [2] = "it does not exist",
        [5] = "the disk reports an error",
        [12] = "there is not enough memory",
        [13] = "permission is denied",
        [16] = "it is in use",
        [17] = "it already exists",
        [18] = "it is on another disk",
        [20] = "a part of the path is not a folder",
        [21] = "it is a folder",
        [22] = "the path or the request is invalid",
        [24] = "too many files are open",
        [26] = "it is in use",
        [27] = "it would be larger than the file system allows",
        [28] = "no space is left on the disk",
        [30] = "the file system is read-only",
        [36] = "the name is too long",
        [39] = "the folder is not empty",
        [40] = "it has a cycle of links",
        [98] = "the address is in use",
        [99] = "the machine has no such address",
        [116] = "the network file system no longer has it",
        [122] = "the disk quota is exceeded",
    };

    /// <summary>Reason of a failure as a phrase without a full stop, to follow a colon.</summary>
    /// <param name="failure">Exception.</param>
    public static string Of(Exception failure)
    {
        ArgumentNullException.ThrowIfNull(failure);
        return failure switch
        {
            JsonException json => OfJson(json),
            FileNotFoundException or DirectoryNotFoundException => "it does not exist",
            UnauthorizedAccessException => "permission is denied",
            PathTooLongException => "the name is too long",
            EndOfStreamException => "it is truncated",
            IOException io when Numbers.TryGetValue(io.HResult, out var words) => words,
            IOException { InnerException: { } inner } => Of(inner),
            System.Net.Sockets.SocketException socket when Numbers.TryGetValue(socket.NativeErrorCode, out var words) => words,
            DecoderFallbackException bytes => $"the bytes {Convert.ToHexString(bytes.BytesUnknown ?? [])} are not UTF-8",
            InvalidDataException => "its content is corrupt or truncated",
            KeyNotFoundException => "a member is missing",
            FormatException or InvalidOperationException => "a value has the wrong type",
            NotSupportedException => "its type is not supported",
            Errors.RetouchException own => own.Message.TrimEnd('.'),
            _ => "the system gives no reason",
        };
    }

    private static string OfJson(JsonException failure) =>
        Twice().Match(failure.Message) is { Success: true } twice ? $"the member '{twice.Groups[1].Value}' occurs twice"
        : failure is { Path.Length: > 1, InnerException: not JsonException }
            ? $"the value at '{failure.Path.TrimStart('$', '.')}' has the wrong type"
        : failure is { LineNumber: { } line, BytePositionInLine: { } position }
            ? line == 0 ? $"invalid JSON at character {position + 1}"
                : $"invalid JSON in line {line + 1}, at character {position + 1}"
        : "it is not JSON";

    // The runtime reports duplicates only in the message.
    [GeneratedRegex("^Duplicate property '(.*?)' ")]
    private static partial Regex Twice();
}
