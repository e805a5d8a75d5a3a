using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Retouch.Tests.Goldens;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Options;

/// <summary>The options that the page for users of other trainers names exist.</summary>
public partial class OtherTrainersPageTests
{
    private static readonly JsonNode Schema = OptionsFile.Schema<TrainingOptions>();

    public static TheoryData<string> Options =>
        [
            .. File.ReadLines(Path.Combine(GoldenCase.Root(), "..", "..", "docs", "from-other-trainers.md"))
                .Where(static line => line.StartsWith("| ", StringComparison.Ordinal) && line.Contains('`'))
                .SelectMany(static line => Code().Matches(line.Split('|')[^2]).Select(static m => m.Groups["text"].Value)),
        ];

    [Theory]
    [MemberData(nameof(Options))]
    public void Option_exists(string option)
    {
        var node = Schema;
        foreach (var name in option.Split('.'))
            node = node["properties"]?[name] ?? throw new KeyNotFoundException($"{option}: there is no {name}.");
    }

    [GeneratedRegex("`(?<text>[^`]+)`")]
    private static partial Regex Code();
}
