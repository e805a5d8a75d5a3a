using System.Text.Json;

namespace Retouch.Core.Formatting;

/// <summary>Option values in messages, spelled as in options files and on the command line.</summary>
public static class OptionValue
{
    /// <summary>An enum value in kebab case: <c>MinSnr</c> gives <c>min-snr</c>.</summary>
    public static string Of<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.KebabCaseLower.ConvertName(value.ToString());
}
