using System.Text.RegularExpressions;

namespace Retouch.Tests.Architecture;

/// <summary>Names: private fields and tests have one style each.</summary>
internal static partial class HouseRules
{
    /// <summary>Words with a capital letter inside.</summary>
    private static readonly string[] ProperNouns =
    [
        "AdamW",
        "BFloat16",
        "BradleyTerry",
        "DiTs",
        "GroupNorm",
        "JavaScript",
        "LoRA",
        "MmDit",
        "NaN",
        "NumPy",
        "OpenAIs",
        "PixArt",
        "PyTorch",
        "PyTorchs",
        "SqueezeNet",
        "TensorBoard",
        "UNet",
        "UniPC",
        "macOS",
    ];

    /// <summary>Checks the names of private fields and of tests, in every C# file of src and tests.</summary>
    public static IEnumerable<Violation> CheckNames(string path, string text)
    {
        var code = CSharpText.CodeOnly(text);
        foreach (Match match in PrivateField().Matches(code))
            yield return new(path, LineOf(code, match.Groups["name"].Index), $"private field '{match.Groups["name"].Value}': _camelCase");
        foreach (Match match in TestMethod().Matches(code))
        {
            var name = match.Groups["name"];
            if (name.Value.Split('_').FirstOrDefault(static w => Joined().IsMatch(w) && !ProperNouns.Contains(w)) is { } word)
                yield return new(path, LineOf(code, name.Index), $"'{word}': words of a test's name are separated by underscores");
        }
    }

    [GeneratedRegex(
        @"^[ \t]*private\s+((static|volatile|readonly|required)\s+)*"
            + @"([\w.]+(<((?!\w\()[^;={}])*>)?|\([^()]*\))[\[\],?]*\s+(?<name>[a-z]\w*)\s*(=[^>]|;)",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture
    )]
    private static partial Regex PrivateField();

    [GeneratedRegex(
        @"\[\w*(Fact|Theory)\b[^\]]*\](\s*\[[^\n]*\])*\s*public\s+(async\s+)?(void|Task)\s+(?<name>\w+)\(",
        RegexOptions.ExplicitCapture
    )]
    private static partial Regex TestMethod();

    [GeneratedRegex("[a-z0-9][A-Z]")]
    private static partial Regex Joined();
}
