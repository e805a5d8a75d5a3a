using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Experiments.Ablations;
using Retouch.Experiments.Demo;

namespace Retouch.Cli.Tests.Demo;

/// <summary>The recorded result of the demo's recipe.</summary>
public sealed class RecordedResultTests
{
    [Fact]
    public void Arms_have_the_wider_interval_of_their_difference()
    {
        var recorded = RecordedResult.Parse(Json(), "recorded.json");
        Assert.Equal(
            ("a machine", 3, 64, 150L, "fd.x"),
            (recorded.Machine, recorded.Seeds, recorded.Samples, recorded.Steps, recorded.Figure)
        );
        Assert.Equal([new("latent only", 200, 190, 210, null, null, null), new("+ LPL", 180, 170, 190, -0.1, -0.2, -0.02)], recorded.Arms);
        Assert.Equal(2, recorded.Table().Rows.Count);
        var highlight = Assert.Single(recorded.Highlights());
        Assert.Equal("recorded with 3 seeds, a recipe: + LPL", highlight.Label);
        Assert.Equal("−10 %", highlight.Value);
        Assert.Contains("−20 % to −2.0 %", highlight.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void It_is_shown_with_the_same_recipe_only()
    {
        var recorded = RecordedResult.Parse(Json(), "recorded.json");
        Assert.True(recorded.IsOf(new DemoSettings { Steps = 150 }));
        Assert.False(recorded.IsOf(new DemoSettings { Steps = 20 }));
        Assert.False(recorded.IsOf(new DemoSettings { Steps = 150, Data = "pictures" }));
        Assert.False(recorded.IsOf(new DemoSettings { Steps = 150, Model = "model" }));
        Assert.False(recorded.IsOf(new DemoSettings { Steps = 150, Retrain = true }));
    }

    [Fact]
    public void A_file_without_arms_is_rejected()
    {
        var json = Json();
        json["figures"]!["rows"]!.AsArray().RemoveAt(2);
        Assert.Contains("at least two arms", Assert.Throws<InputException>(() => RecordedResult.Parse(json, "x.json")).Message);
    }

    /// <summary>The shipped results have the demo's arms, and those of the spec that recorded them.</summary>
    [Fact]
    public void The_recorded_result_has_the_demos_arms()
    {
        var spec = AblationSpec.Read(Path.Combine(AppContext.BaseDirectory, "ablations", "demo.json"), []);
        Assert.Equal(DemoArm.All.Select(static a => a.Name), spec.Arms.Select(static a => a.Name));
        foreach (var (arm, own) in spec.Arms.Zip(DemoArm.All))
        {
            var objective = new JsonObject();
            foreach (var (path, value) in arm.Set)
                objective[path["objective.".Length..]] = value!.DeepClone();
            Assert.True(JsonNode.DeepEquals(JsonNode.Parse(own.Objective), objective), own.Name);
        }

        var recorded = RecordedResult.ReadAll()[0];
        Assert.Equal(DemoArm.All.Select(static a => a.Name), recorded.Arms.Select(static a => a.Name));
        Assert.True(recorded.IsOf(new DemoSettings()));
        Assert.Equal(spec.Seeds.Count, recorded.Seeds);
    }

    private static JsonObject Json() =>
        JsonNode
            .Parse(
                """
                {
                  "title": "a recipe", "machine": "a machine", "seeds": 3, "samples": 64, "steps": 150, "figure": "fd.x",
                  "figures": {
                    "rows": [
                      { "name": "before", "seeds": [], "figures": [] },
                      { "name": "latent only", "seeds": [1, 2, 3], "figures": [
                        { "name": "fwd", "better": "lower", "estimate": { "value": 1, "interval": { "low": 1, "high": 1 } } },
                        { "name": "fd.x", "better": "lower", "estimate": { "value": 200, "interval": { "low": 190, "high": 210 } } } ] },
                      { "name": "+ LPL", "seeds": [1, 2, 3], "figures": [
                        { "name": "fd.x", "better": "lower", "estimate": { "value": 180, "interval": { "low": 170, "high": 190 } } } ] }
                    ],
                    "differences": [
                      { "row": "+ LPL", "against": "latent only", "figure": "fwd",
                        "estimate": { "value": 5, "interval": { "low": 4, "high": 6 } } },
                      { "row": "+ LPL", "against": "latent only", "figure": "fd.x",
                        "estimate": { "value": -20, "interval": { "low": -30, "high": -10 }, "overSeeds": { "low": -40, "high": -4 } } }
                    ]
                  }
                }
                """
            )!
            .AsObject();
}
