using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Retouch.Core.Io;

/// <summary>
/// Failures of the runtime in words for people: what happened, without the runtime's own text, its numbers or names of types.
/// </summary>
public static partial class Reasons
{
    // errno, which .NET keeps in the result code of its errors about files.
    private static readonly Dictionary<int, string> Numbers = new()
    {
        [1] = "it is not permitted",
        [2] = "it is not there",
        [5] = "the disk reports an error",
        [12] = "memory is short",
        [13] = "permission is denied",
        [16] = "it is in use",
        [17] = "something of this name is there already",
        [18] = "it lies on another disk",
        [20] = "a part of the path is no folder",
        [21] = "it is a folder",
        [22] = "the system refuses the path or the request",
        [24] = "too many files are open",
        [26] = "it is in use",
        [27] = "it would be larger than the file system allows",
        [28] = "no space is left on the disk",
        [30] = "the file system is read-only",
        [36] = "the name is too long",
        [39] = "the folder is not empty",
        [40] = "its links lead in a circle",
        [98] = "the address is in use",
        [99] = "the machine has no such address",
        [116] = "the network file system has lost it",
        [122] = "the disk quota is used up",
    };

    /// <summary>Why something failed: a phrase without a full stop, to stand behind a colon.</summary>
    /// <param name="failure">What was thrown.</param>
    public static string Of(Exception failure)
    {
        ArgumentNullException.ThrowIfNull(failure);
        return failure switch
        {
            JsonException json => OfJson(json),
            FileNotFoundException or DirectoryNotFoundException => "it is not there",
            UnauthorizedAccessException => "permission is denied",
            PathTooLongException => "the name is too long",
            EndOfStreamException => "it ends too early",
            IOException io when Numbers.TryGetValue(io.HResult, out var words) => words,
            IOException { InnerException: { } inner } => Of(inner),
            System.Net.Sockets.SocketException socket when Numbers.TryGetValue(socket.NativeErrorCode, out var words) => words,
            DecoderFallbackException bytes => $"the bytes {Convert.ToHexString(bytes.BytesUnknown ?? [])} are no UTF-8",
            InvalidDataException => "what it holds is broken or cut off",
            KeyNotFoundException => "a member is missing",
            FormatException or InvalidOperationException => "a value is of another kind than it has to be",
            NotSupportedException => "it is of a kind that is not read",
            Errors.RetouchException own => own.Message.TrimEnd('.'),
            _ => "the system gives no reason",
        };
    }

    private static string OfJson(JsonException failure) =>
        Twice().Match(failure.Message) is { Success: true } twice ? $"the member '{twice.Groups[1].Value}' stands in it twice"
        : failure is { Path.Length: > 1, InnerException: not JsonException }
            ? $"the value at '{failure.Path.TrimStart('$', '.')}' is of another kind than it has to be"
        : failure is { LineNumber: { } line, BytePositionInLine: { } position }
            ? line == 0 ? $"something else than JSON stands at its character {position + 1}"
                : $"something else than JSON stands in its line {line + 1}, at character {position + 1}"
        : "it is no JSON";

    // The runtime has no other sign of it than its text.
    [GeneratedRegex("^Duplicate property '(.*?)' ")]
    private static partial Regex Twice();
}
