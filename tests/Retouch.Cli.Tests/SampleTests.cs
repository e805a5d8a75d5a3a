using System.Text.Json.Nodes;
using Retouch.Cli.Commands;
using Retouch.Cli.Tests.Demo;
using Retouch.Core.Errors;
using Retouch.Data;

namespace Retouch.Cli.Tests;

/// <summary><c>retouch sample</c> with a small model.</summary>
public sealed class SampleTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-sample-").FullName;

    public SampleTests() => TinyPipeline.Save(Model);

    private string Model => Path.Combine(_folder, "model");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Samples_have_metadata_and_form_a_data_set()
    {
        var (code, output, error) = await Run(
            "one",
            "--count",
            "5",
            "--batch-size",
            "2",
            "--size",
            "48x32",
            "--class",
            "3",
            "7",
            "--seed",
            "40",
            "--steps",
            "3",
            "--guidance",
            "2",
            "--sampler",
            "unipc"
        );
        Assert.Equal((0, 0), (code, error.Split('\n').Count(static l => l.StartsWith("error", StringComparison.Ordinal))));
        Assert.StartsWith("5 pictures with unipc in ", output, StringComparison.Ordinal);
        var lines = File.ReadAllLines(Path.Combine(_folder, "one", "metadata.jsonl"));
        Assert.Equal(5, lines.Length);
        Assert.Equal(
            """{"file_name":"00001.png","label":7,"seed":41,"sampler":"unipc","steps":3,"guidance":2,"width":48,"height":32}""",
            lines[1]
        );
        var data = ImageFolder.Open(Path.Combine(_folder, "one"));
        Assert.Equal(5, data.Count);
        Assert.Equal((48, 32), (data.Load(0).FullWidth, data.Load(0).FullHeight));

        // The noise of a picture does not depend on its batch.
        await Run(
            "two",
            "--count",
            "1",
            "--size",
            "48x32",
            "--class",
            "7",
            "--seed",
            "41",
            "--steps",
            "3",
            "--guidance",
            "2",
            "--sampler",
            "unipc"
        );
        var (among, alone) = (
            data.Load(1).Picture.Pixels.ToArray(),
            ImageFolder.Open(Path.Combine(_folder, "two")).Load(0).Picture.Pixels.ToArray()
        );
        Assert.Equal(among.Length, alone.Length);
        // Up to rounding, since kernels depend on the batch size: values near the middle of two levels may be rounded either way.
        Assert.InRange(among.Zip(alone, static (a, b) => Math.Abs(a - b)).Max(), 0, 1);
    }

    [Fact]
    public async Task In_bfloat16_pictures_are_similar_and_the_precision_is_part_of_the_run()
    {
        string[] options = ["--count", "2", "--steps", "2", "--seed", "3"];
        await Run("full", options);
        Assert.Equal(0, (await Run("half", [.. options, "--precision", "bf16"])).Code);
        byte[] Pixels(string name) => ImageFolder.Open(Path.Combine(_folder, name)).Load(0).Picture.Pixels.ToArray();
        var differences = Pixels("full").Zip(Pixels("half"), static (a, b) => Math.Abs(a - b)).ToArray();
        Assert.InRange(differences.Average(), 0.01, 8);

        var (code, _, error) = await Run("half", ["--count", "3", "--steps", "2", "--seed", "3", "--resume"]);
        Assert.Equal(2, code);
        Assert.Contains("in bfloat16", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_contact_sheet_shows_all_pictures_and_is_not_part_of_the_data_set()
    {
        await Run("drawn", "--count", "3", "--steps", "1", "--class", "3", "7", "--seed", "40");
        var folder = Path.Combine(_folder, "drawn");
        var page = File.ReadAllText(Path.Combine(folder, "contact-sheet.html"));
        foreach (var label in (string[])["class 3 · seed 40", "class 7 · seed 41", "class 3 · seed 42"])
            Assert.Contains(label, page, StringComparison.Ordinal);
        for (var k = 0; k < 3; k++)
            Assert.Contains(
                Convert.ToBase64String(File.ReadAllBytes(Path.Combine(folder, $"0000{k}.png"))),
                page,
                StringComparison.Ordinal
            );
        var data = ImageFolder.Open(folder);
        Assert.Equal(3, data.Count);
        Assert.DoesNotContain(data.Notes, static n => n.Contains("contact-sheet", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("ddim")]
    [InlineData("ddpm")]
    [InlineData("euler-a")]
    [InlineData("heun-karras")]
    [InlineData("dpmpp-2m-karras")]
    [InlineData("pndm")]
    [InlineData("lms")]
    public async Task Every_sampler_works(string name)
    {
        var (code, output, error) = await Run(
            name,
            "--count",
            "1",
            "--steps",
            "2",
            "--sampler",
            name,
            "--guidance-rescale",
            "0.7",
            "--guidance-interval",
            "0.1",
            "0.9",
            "--json"
        );
        Assert.True(code == 0, error);
        Assert.Equal(name, (string?)JsonNode.Parse(output)!["sampler"]);
        Assert.Equal(
            0.7,
            (double?)JsonNode.Parse(File.ReadAllLines(Path.Combine(_folder, name, "metadata.jsonl"))[0])!["guidance_rescale"]
        );
    }

    [Theory]
    [InlineData("is not a sampler", "--sampler", "magic")]
    [InlineData("divisible by 4", "--size", "30")]
    [InlineData("--size '4x4x4'", "--size", "4x4x4")]
    [InlineData("must be given together", "--width", "32")]
    [InlineData("cannot be combined", "--size", "32", "--width", "32")]
    [InlineData("two numbers", "--guidance-interval", "0.5")]
    [InlineData("Guidance rescale", "--guidance-rescale", "1.5")]
    [InlineData("does not exist", "--class", "10")]
    [InlineData("is not empty", "--output", "model")]
    public async Task Invalid_options_are_rejected(string message, params string[] args)
    {
        var (code, _, error) = await Run("refused", args.Contains("--output") ? ["--output", Path.Combine(_folder, "model")] : args);
        Assert.Equal(2, code);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(_folder, "refused")));
    }

    [Fact]
    public async Task An_interrupted_run_resumes_to_the_same_bytes()
    {
        string[] options = ["--count", "5", "--batch-size", "2", "--seed", "9", "--steps", "2"];
        await Run("whole", options);
        Assert.Equal(0, (await Run("parts", [.. options, "--resume"])).Code);
        // State after a kill: a picture missing in the metadata, and others not sampled yet.
        var lines = File.ReadAllLines(Path.Combine(_folder, "parts", "metadata.jsonl"));
        File.WriteAllText(Path.Combine(_folder, "parts", "metadata.jsonl"), string.Concat(lines.Take(2).Select(static l => l + "\n")));
        File.WriteAllText(Path.Combine(_folder, "parts", "00002.png"), "half of a picture");
        foreach (var name in (string[])["00003.png", "00004.png"])
            File.Delete(Path.Combine(_folder, "parts", name));
        var kept = File.GetLastWriteTimeUtc(Path.Combine(_folder, "parts", "00001.png"));
        var (code, output, error) = await Run("parts", [.. options, "--resume", "--json"]);
        Assert.True(code == 0, error);
        Assert.Equal((5, 2), ((int)JsonNode.Parse(output)!["count"]!, (int)JsonNode.Parse(output)!["takenOver"]!));
        foreach (var file in Directory.EnumerateFiles(Path.Combine(_folder, "whole")))
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(_folder, "parts", Path.GetFileName(file))));
        Assert.Equal(kept, File.GetLastWriteTimeUtc(Path.Combine(_folder, "parts", "00001.png")));

        // More pictures; existing ones are kept.
        Assert.StartsWith(
            "7 pictures (5 existing)",
            (await Run("parts", "--count", "7", "--seed", "9", "--steps", "2", "--resume")).Out,
            StringComparison.Ordinal
        );
        Assert.Equal(lines, File.ReadAllLines(Path.Combine(_folder, "parts", "metadata.jsonl")).Take(5));

        async Task Refused(int expected, string message, params string[] args)
        {
            var (code, _, error) = await Run("parts", args);
            Assert.Equal(expected, code);
            Assert.Contains(message, error, StringComparison.Ordinal);
        }

        await Refused(2, "Resume it with --resume", "--count", "7", "--seed", "9", "--steps", "2");
        await Refused(2, "Line 1 of", "--count", "7", "--seed", "8", "--steps", "2", "--resume");
        await Refused(2, "no more pictures", "--count", "6", "--seed", "9", "--steps", "2", "--resume");
        await Refused(
            2,
            "guidance from 0 to 1",
            "--count",
            "7",
            "--seed",
            "9",
            "--steps",
            "2",
            "--guidance-interval",
            "0.1",
            "0.5",
            "--resume"
        );
        File.Delete(Path.Combine(_folder, "parts", "00004.png"));
        await Refused(3, "00004.png", "--count", "7", "--seed", "9", "--steps", "2", "--resume");
        File.SetLastWriteTimeUtc(Path.Combine(Model, "model_index.json"), DateTime.UnixEpoch);
        await Refused(2, "are different", "--count", "7", "--seed", "9", "--steps", "2", "--resume");
        File.Delete(Path.Combine(_folder, "parts", "sampling.json"));
        await Refused(2, "has no sampling.json", "--count", "7", "--seed", "9", "--steps", "2", "--resume");
    }

    [Fact]
    public void Sizes_are_parsed_in_all_forms()
    {
        Assert.Null(SampleCommand.SizeOf(null, null, null));
        Assert.Equal((512, 512), SampleCommand.SizeOf("512", null, null));
        Assert.Equal((768, 512), SampleCommand.SizeOf("768x512", null, null));
        Assert.Equal((64, 32), SampleCommand.SizeOf(null, 64, 32));
        foreach (var wrong in (string[])["", "x", "5x", "-5", "5.5", "0x4"])
            Assert.Throws<UsageException>(() => SampleCommand.SizeOf(wrong, null, null));
    }

    private async Task<(int Code, string Out, string Error)> Run(string folder, params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        string[] target = args.Contains("--output") ? [] : ["--output", Path.Combine(_folder, folder)];
        var code = await CommandLine.RunAsync(CommandLine.Create(), ["sample", "--model", Model, .. target, .. args], output, error);
        return (code, output.ToString(), error.ToString());
    }
}
