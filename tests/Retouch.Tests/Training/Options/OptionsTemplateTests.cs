using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Options;

public class OptionsTemplateTests
{
    public static TheoryData<string> Names => [.. OptionsTemplate.Names];

    [Fact]
    public void Templates_cover_the_kinds_of_training() =>
        Assert.Equal(["autoencoder", "dit-from-scratch", "dpo", "lpl", "sd15-lora", "sd3-lora", "sdxl-lora"], OptionsTemplate.Names);

    [Theory]
    [MemberData(nameof(Names))]
    public void The_text_of_a_template_has_its_options_and_all_defaults(string name)
    {
        var source = OptionsFile.Bind<TrainingOptions>(OptionsFile.Parse(OptionsTemplate.Source(name), name), name);
        source.Validate();
        var text = OptionsTemplate.Text(name);
        var again = OptionsFile.Bind<TrainingOptions>(OptionsFile.Parse(text, name), name);
        again.Validate();
        Assert.Equal(OptionsFile.Write(source), OptionsFile.Write(again));
        Assert.StartsWith("{\n  // ", text);
        Assert.Contains($"\"$schema\": \"./{OptionsTemplate.SchemaName}\"", text);
        Assert.All(text.Split('\n'), static line => Assert.InRange(line.Length, 0, 140));
    }

    [Fact]
    public void Every_option_of_a_section_is_mentioned_with_its_description()
    {
        var text = OptionsTemplate.Text("lpl");
        var data = OptionsFile.Schema<TrainingOptions>()["properties"]!["data"]!["properties"]!.AsObject();
        Assert.NotEmpty(data);
        foreach (var (name, schema) in data)
        {
            Assert.Contains($"\"{name}\": ", text);
            var words = ((string)schema!["description"]!).Split(' ');
            Assert.Contains($"    // {string.Join(' ', words.Take(6))}", text);
        }
    }

    [Fact]
    public void An_unknown_template_is_rejected_with_the_names() =>
        Assert.Contains("sdxl-lora", Assert.Throws<UsageException>(() => OptionsTemplate.Text("sd9")).Message);

    [Fact]
    public void A_schema_member_is_not_an_option()
    {
        var json = JsonNode.Parse("""{ "$schema": "./x.json", "task": "denoiser", "steps": 3 }""")!.AsObject();
        Assert.Equal(3, OptionsFile.Bind<TrainingOptions>(json, "test").Steps);
        json["data"] = new JsonObject { ["$schema"] = "x" };
        Assert.Throws<UsageException>(() => OptionsFile.Bind<TrainingOptions>(json, "test"));
    }
}
