using System.CommandLine;
using System.Text.Json;
using Retouch.Core.Json;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Patches;
using Retouch.Perception;

namespace Retouch.Cli.Tests;

/// <summary>
/// The output of <c>--json</c> of each verb equals <c>json-outputs.txt</c>. A block of it is a line <c>verb: type of the result</c> (one
/// per result of a verb, with the condition in parentheses), followed by the result's members, indented.
/// </summary>
public sealed class JsonShapeTests
{
    private const string Nothing = "nothing";

    private static readonly JsonSerializerOptions Options = JsonStyles.Output;

    private static readonly Dictionary<string, Type> Entries = new(StringComparer.Ordinal)
    {
        ["clipScore"] = typeof(ClipScoreProtocol),
        ["fwd"] = typeof(WaveletPlan),
        ["kernel"] = typeof(KernelDistanceOptions),
        ["perceptual"] = typeof(PerceptualProtocol),
        ["precisionRecall"] = typeof(PrecisionRecallOptions),
        ["slicedWasserstein"] = typeof(SlicedWassersteinOptions),
        ["spectrum"] = typeof(SpectrumOptions),
        ["statistics"] = typeof(SavedStatistics),
    };

    [Fact]
    public void Every_result_has_the_pinned_members()
    {
        var types = JsonShapes.Arguments(typeof(Output).Module, nameof(Output.Write)).ToDictionary(JsonShapes.NameOf);
        var pinned = Pinned().Where(static p => !IsEntry(p.Verb)).ToList();
        // All results of the verbs are listed, including those of the hidden verb, and no others.
        AssertSame(types.Keys, pinned.Select(static p => p.Type).Where(static t => t != Nothing));
        var differences = pinned
            .Where(static p => p.Type != Nothing)
            .SelectMany(p =>
            {
                var members = JsonShapes.Of(types[p.Type], Options);
                return p
                    .Members.Except(members)
                    .Select(m => $"- {p.Verb}  {m}")
                    .Concat(members.Except(p.Members).Select(m => $"+ {p.Verb}  {m}"));
            });
        Assert.True(!differences.Any(), string.Join('\n', differences));
    }

    /// <summary>Members of a protocol come from the metrics, so that the contract of a result does not contain them.</summary>
    [Fact]
    public void Every_protocol_entry_has_the_pinned_members()
    {
        var pinned = Pinned().Where(static p => IsEntry(p.Verb)).ToList();
        AssertSame(Entries.Keys.Select(static name => $"evaluate (protocol.{name})"), pinned.Select(static p => p.Verb));
        foreach (var (verb, type, members) in pinned)
        {
            var entry = Entries[verb.Split("protocol.")[1].TrimEnd(')')];
            Assert.Equal(type, JsonShapes.NameOf(entry));
            Assert.Equal(members, JsonShapes.Of(entry, Options));
        }
    }

    [Fact]
    public void Every_verb_is_listed()
    {
        var listed = Pinned().Select(static p => p.Verb.Split(" (")[0]).Distinct();
        AssertSame(Verbs(CommandLine.Create(), ""), listed);
    }

    [Fact]
    public void Changes_of_names_types_and_absence_are_detected()
    {
        string[] expected =
        [
            ".: object",
            "by: object",
            "by{}: number",
            "inner: object?",
            "inner.again: JsonShapeTests.Planted again",
            "inner.kind: string (first, secondOne)",
            "maybe: number?",
            "names: array",
            "names[]: string",
        ];
        Assert.Equal(expected, JsonShapes.Of(typeof(Planted), Options));
        Assert.Equal(
            "Dictionary<String, Planted[]>",
            JsonShapes.NameOf(typeof(Dictionary<string, Planted[]>)).Replace("JsonShapeTests.", "")
        );
    }

    private enum Kind
    {
        First,
        SecondOne,
    }

    private sealed record Inner(Kind Kind, Planted Again);

    private sealed record Planted(IReadOnlyList<string> Names, int? Maybe, Dictionary<string, double> By, Inner? Inner)
    {
        public int Written
        {
            set => _ = value;
        }
    }

    private static bool IsEntry(string verb) => verb.Contains("(protocol.", StringComparison.Ordinal);

    private static void AssertSame(IEnumerable<string> expected, IEnumerable<string> pinned) =>
        Assert.Equal(
            string.Join('\n', expected.Order(StringComparer.Ordinal)),
            string.Join('\n', pinned.Distinct().Order(StringComparer.Ordinal))
        );

    private static List<(string Verb, string Type, List<string> Members)> Pinned()
    {
        List<(string Verb, string Type, List<string> Members)> blocks = [];
        foreach (var line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "json-outputs.txt")))
        {
            if (line.StartsWith("  ", StringComparison.Ordinal))
                blocks[^1].Members.Add(line.Trim());
            else if (line.Length > 0 && line.Split(": ", 2) is [var verb, var type])
                blocks.Add((verb, type, []));
        }

        return blocks;
    }

    private static IEnumerable<string> Verbs(Command command, string name)
    {
        var below = command.Subcommands.SelectMany(c => Verbs(c, $"{name} {c.Name}".Trim()));
        return command.Action is null || command is RootCommand ? below : below.Prepend(name);
    }
}
