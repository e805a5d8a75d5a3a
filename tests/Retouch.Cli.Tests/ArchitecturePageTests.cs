using System.Reflection;
using System.Text.RegularExpressions;

namespace Retouch.Cli.Tests;

/// <summary>The flows of docs/architecture.md name existing types and members.</summary>
public sealed partial class ArchitecturePageTests
{
    private const int MostHops = 8;

    private static readonly Type[] Types =
    [
        .. Directory
            .EnumerateFiles(AppContext.BaseDirectory, "Retouch*.dll")
            .Select(static file => Path.GetFileNameWithoutExtension(file))
            .Where(static name => !name.EndsWith(".Tests", StringComparison.Ordinal))
            .SelectMany(static name => Assembly.Load(name).GetTypes()),
    ];

    [Fact]
    public void Flows_name_existing_members()
    {
        var flows = FlowsOf(Page());
        Assert.Equal(5, flows.Count);
        Assert.All(flows, static flow => Assert.InRange(flow.Hops.Count, 2, MostHops));
        Assert.Empty(flows.SelectMany(static flow => flow.Hops.SelectMany(Missing)));
    }

    [Fact]
    public void Planted_violations_are_found()
    {
        var flow = Assert.Single(
            FlowsOf(
                """
                ## Five flows

                ### Planted

                1. `Trainer.Run`: the loop.
                2. `Trainer.Strolls`: no member, beside `StepSeeds` and `NoSuchType`.
                No hop.

                ## Next

                3. `Elsewhere`: not of the flows.
                """
            )
        );
        Assert.Equal(2, flow.Hops.Count);
        Assert.Equal(["Trainer.Strolls", "NoSuchType"], flow.Hops.SelectMany(Missing));
        Assert.Equal(["a hop without a name"], Missing("the loop"));
    }

    /// <summary>The flows of the page: a heading and numbered lines each.</summary>
    private static List<(string Title, List<string> Hops)> FlowsOf(string page)
    {
        List<(string Title, List<string> Hops)> flows = [];
        var inside = false;
        foreach (var line in page.Split('\n'))
        {
            if (line.StartsWith("## ", StringComparison.Ordinal))
                inside = line == "## Five flows";
            else if (inside && line.StartsWith("### ", StringComparison.Ordinal))
                flows.Add((line[4..], []));
            else if (inside && Numbered().Match(line) is { Success: true } hop)
                flows[^1].Hops.Add(line[hop.Length..]);
        }

        return flows;
    }

    /// <summary>Names in backticks that are neither types nor members of their type; routes and the like are ignored.</summary>
    private static IEnumerable<string> Missing(string hop) =>
        hop.StartsWith('`')
            ? Names().Matches(hop).Select(static m => m.Groups[1].Value).Where(static n => !Exists(n))
            : ["a hop without a name"];

    private static bool Exists(string name)
    {
        const BindingFlags All = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static;
        return name.Split('.') is [var type, .. var rest]
            && Types.Any(t => t.Name.Split('`')[0] == type && (rest.Length == 0 || t.GetMember(rest[0], All).Length > 0));
    }

    private static string Page()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Retouch.slnx")))
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests run outside the repository.");
        return File.ReadAllText(Path.Combine(folder, "docs", "architecture.md"));
    }

    [GeneratedRegex(@"^\d+\. ")]
    private static partial Regex Numbered();

    [GeneratedRegex(@"`([A-Za-z]\w*(?:\.\w+)?)`")]
    private static partial Regex Names();
}
