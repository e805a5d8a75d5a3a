using System.Text.Json.Nodes;
using Retouch.Cli.Tests.Demo;
using Retouch.Images;

namespace Retouch.Cli.Tests;

/// <summary><c>retouch sample</c> and <c>retouch cache</c> with a text-conditional model.</summary>
public sealed class PromptTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-prompts-").FullName;

    public PromptTests() => TinyTextPipeline.Save(PathOf("model"), _folder);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Each_prompt_is_sampled_as_often_as_requested_and_recorded()
    {
        File.WriteAllText(PathOf("prompts.txt"), "two trees\n\n");
        var (code, output, error) = await Run(
            "sample",
            "--model",
            PathOf("model"),
            "--output",
            PathOf("out"),
            "--prompt",
            "a red ball",
            "--prompts",
            PathOf("prompts.txt"),
            "--images-per-prompt",
            "2",
            "--steps",
            "2",
            "--seed",
            "7"
        );
        Assert.True(code == 0, error);
        Assert.StartsWith("4 pictures", output, StringComparison.Ordinal);
        var lines = File.ReadAllLines(PathOf("out/metadata.jsonl")).Select(static l => JsonNode.Parse(l)!).ToArray();
        Assert.Equal(["a red ball", "a red ball", "two trees", "two trees"], lines.Select(static l => (string?)l["text"]));
        Assert.Equal([7, 8, 9, 10], lines.Select(static l => (int)l["seed"]!));
    }

    [Fact]
    public async Task A_negative_prompt_changes_the_picture_and_a_long_one_is_reported()
    {
        async Task<byte[]> Draw(string name, params string[] more)
        {
            var (code, _, error) = await Run([
                "sample",
                "--model",
                PathOf("model"),
                "--output",
                PathOf(name),
                "--prompt",
                "a very long red ball",
                "--steps",
                "2",
                "--guidance",
                "4",
                .. more,
            ]);
            Assert.True(code == 0, error);
            Assert.Contains("exceeds the encoder's maximum length", error, StringComparison.Ordinal);
            return File.ReadAllBytes(PathOf($"{name}/00000.png"));
        }

        Assert.NotEqual(await Draw("plain"), await Draw("negative", "--negative", "blue"));
    }

    [Theory]
    [InlineData(2, "needs prompts", "model")]
    [InlineData(3, "takes no prompts", "classes", "--prompt", "a ball")]
    [InlineData(2, "--count and --class", "model", "--prompt", "a ball", "--count", "3")]
    [InlineData(2, "need --prompt", "model", "--negative", "blue")]
    [InlineData(3, "Cannot read '/nowhere/prompts.txt'", "model", "--prompts", "/nowhere/prompts.txt")]
    public async Task Invalid_options_are_rejected(int expected, string message, string model, params string[] args)
    {
        var (code, _, error) = await Run(["sample", "--model", PathOf(model), "--output", PathOf("refused"), "--steps", "2", .. args]);
        Assert.Equal(expected, code);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(PathOf("refused")));
    }

    [Fact]
    public async Task A_cache_holds_pictures_and_captions_and_grows_with_the_data()
    {
        var data = Directory.CreateDirectory(PathOf("data")).FullName;
        void Add(string name, string caption)
        {
            File.WriteAllBytes(
                Path.Combine(data, $"{name}.png"),
                PictureFile.Encode(Picture.Filled(40, 36, new Rgb(9, 99, 199)), PictureFormat.Png)
            );
            File.WriteAllText(Path.Combine(data, $"{name}.txt"), caption);
        }

        async Task<JsonNode> Cache(params string[] more)
        {
            var (code, output, error) = await Run([
                "cache",
                "--model",
                PathOf("model"),
                "--data",
                data,
                "--output",
                PathOf("cache"),
                "--json",
                .. more,
            ]);
            Assert.True(code == 0, error);
            return JsonNode.Parse(output)!;
        }

        Add("a", "a ball");
        Add("b", "a ball");
        var first = await Cache();
        Assert.Equal((2, 1), ((int)first["pictures"]!, (int)first["captions"]!));
        Add("c", "a tree");
        var second = await Cache("--batch-size", "1");
        Assert.Equal((3, 2), ((int)second["pictures"]!, (int)second["captions"]!));
        Assert.Equal(2, Directory.EnumerateFiles(PathOf("cache/latents"), "*.safetensors").Count());
        var (stale, _, message) = await Run(
            "cache",
            "--model",
            PathOf("model"),
            "--data",
            data,
            "--output",
            PathOf("cache"),
            "--size",
            "16"
        );
        Assert.Equal(3, stale);
        Assert.Contains("stale", message, StringComparison.Ordinal);
    }

    private static async Task<(int Code, string Output, string Error)> Run(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync(CommandLine.Create(), args, output, error);
        return (code, output.ToString(), error.ToString());
    }

    private string PathOf(string name) => Path.Combine(_folder, name);
}
