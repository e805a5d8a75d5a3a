using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Options;

public sealed class OptionFormsTests
{
    [Fact]
    public void A_preset_is_a_name_or_a_base_for_overrides()
    {
        Assert.Equal(LatentPerceptualPresets.Paper, Bind("""{ "perceptual": "paper" }""").Perceptual);
        Assert.Equal(
            LatentPerceptualPresets.Reference with
            {
                Weight = 2,
            },
            Bind("""{ "perceptual": { "preset": "reference", "weight": 2 } }""").Perceptual
        );
        Assert.Equal(new LatentPerceptualOptions(), Bind("""{ "perceptual": "default" }""").Perceptual);
        Assert.All(
            LatentPerceptualPresets.ByName.Values,
            static p =>
            {
                var check = Requirements.OfFile("objective");
                new ObjectiveOptions { Perceptual = p }.Validate(check);
                Assert.Empty(check.Problems);
            }
        );
        var message = Assert.Throws<UsageException>(static () => Bind("""{ "perceptual": "papre" }""")).Message;
        Assert.Contains("default, paper, reference", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Old_names_are_accepted_with_a_note()
    {
        List<string> notes = [];
        var options = Bind(
            """
            { "perceptual": { "weight": "auto", "autoShare": 0.1, "autoWarmUp": 9, "normalisation": "separate", "detachStatistics": true },
              "pixel": { "weight": "auto", "autoWarmUp": 5 },
              "preference": { "space": "features", "features": { "normalisation": "channel-norm-shared", "detachStatistics": false } } }
            """,
            notes
        );
        var expected = new LatentPerceptualOptions
        {
            Weight = TermWeight.OfShare(0.1, 9),
            Statistics = StatisticsSource.Own,
            StatisticsGradient = 0,
            VarianceFloor = 0,
        };
        Assert.Equal(expected, options.Perceptual);
        Assert.Equal(TermWeight.OfShare(0.2, 5), options.Pixel!.Weight);
        Assert.Equal(
            new LatentPerceptualOptions { Normalisation = Normalisation.ChannelNorm, Statistics = StatisticsSource.Target },
            options.Preference!.Features
        );
        Assert.Equal(7, notes.Count);
        Assert.All(notes, static n => Assert.Contains("is an old name", n, StringComparison.Ordinal));
        Assert.Throws<UsageException>(static () => Bind("""{ "perceptual": { "weight": 3, "autoShare": 0.1 } }"""));
    }

    [Fact]
    public void Written_values_are_read_back()
    {
        var written = new TrainingOptions
        {
            Objective = new() { Perceptual = LatentPerceptualPresets.Reference, Pixel = new() },
        };
        List<string> notes = [];
        var read = OptionsFile.Bind<TrainingOptions>((JsonObject)JsonNode.Parse(OptionsFile.Write(written))!, "test", note: notes.Add);
        Assert.Equal(written.Objective, read.Objective);
        Assert.Empty(notes);
    }

    private static ObjectiveOptions Bind(string objective, List<string>? notes = null) =>
        OptionsFile
            .Bind<TrainingOptions>(
                new JsonObject { ["objective"] = JsonNode.Parse(objective) },
                "test",
                note: notes is null ? null : notes.Add
            )
            .Objective!;
}
