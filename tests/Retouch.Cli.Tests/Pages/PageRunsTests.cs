using System.Globalization;
using Retouch.Cli.Tests.Demo;
using Retouch.Data.Scenes;
using Retouch.Tests;

namespace Retouch.Cli.Tests.Pages;

/// <summary>Changes the working folder, and is therefore not parallel to other tests.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class WorkingFolderCollection
{
    public const string Name = "working folder";
}

/// <summary>
/// The commands of pages run, in the order of the page, with tiny models and pictures under the names that the page uses, and with fewer
/// steps and pictures.
/// </summary>
[Collection(WorkingFolderCollection.Name)]
public sealed class PageRunsTests : IDisposable
{
    /// <summary>Values for a run of a few seconds, by verb and option.</summary>
    private static readonly Dictionary<string, Dictionary<string, string>> Small = new()
    {
        ["train"] = new()
        {
            ["--steps"] = "2",
            ["--size"] = "32",
            ["--batch-size"] = "2",
            ["--device"] = "cpu",
        },
        ["sample"] = new()
        {
            ["--steps"] = "2",
            ["--count"] = "2",
            ["--images-per-prompt"] = "2",
            ["--device"] = "cpu",
        },
        ["cache"] = new() { ["--size"] = "32", ["--device"] = "cpu" },
        ["compare"] = new()
        {
            ["--samples"] = "4",
            ["--steps"] = "2",
            ["--size"] = "32",
            ["--resamples"] = "100",
        },
        ["evaluate"] = new() { ["--size"] = "32", ["--resamples"] = "100" },
        ["pairs"] = new() { ["--hold-out"] = "2" },
        ["inspect"] = [],
        ["convert"] = [],
    };

    /// <summary>Options that are added where the page relies on defaults that are expensive.</summary>
    private static readonly Dictionary<string, string[]> Added = new()
    {
        ["train"] = ["--steps"],
        ["sample"] = ["--steps"],
        ["compare"] = ["--samples", "--steps", "--resamples"],
        ["evaluate"] = ["--resamples"],
    };

    private readonly TemporaryFolder _folder = new();
    private readonly string _before = Environment.CurrentDirectory;

    public PageRunsTests()
    {
        SceneFolder.Write(
            _folder["PICTURES"],
            new ProceduralScenes(seed: 1, size: 32, count: 8),
            static k => string.Create(CultureInfo.InvariantCulture, $"{(k % 2 == 0 ? "apple" : "pear")}/{k}.png")
        );
        foreach (var picture in Directory.GetFiles(_folder["PICTURES"], "*.png", SearchOption.AllDirectories))
            File.WriteAllText(Path.ChangeExtension(picture, ".txt"), "a red ball");
        TinyTextPipeline.Save(_folder["text-model"], _folder["parts"]);
        Environment.CurrentDirectory = _folder.Path;
    }

    public void Dispose()
    {
        Environment.CurrentDirectory = _before;
        _folder.Dispose();
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("README.md")]
    [InlineData("docs/prompts.md")]
    [InlineData("docs/lora.md")]
    [InlineData("docs/data.md")]
    [InlineData("docs/gpu.md")]
    [InlineData("docs/evaluation.md")]
    [InlineData("docs/preference.md")]
    public void Commands_of_a_page_run(string page)
    {
        var ran = 0;
        foreach (var block in PageScript.Blocks(File.ReadAllText(Path.Combine(PageScript.Root, page))))
        {
            foreach (
                var command in block.Where(static c => !Omitted(c)).Select(PageScript.Words).Where(static w => Small.ContainsKey(w[0]))
            )
            {
                Provide(command, isText: block.Exists(IsText));
                var arguments = Shrunk(command);
                var (code, _, error) = RetouchInProcess.Run(arguments);
                Assert.True(code == 0, $"{page}: {string.Join(' ', arguments)}\n{error}");
                ran++;
            }
        }

        Assert.True(ran > 1, $"{page}: {ran}");
    }

    /// <summary>Whether a block of commands is about a model with prompts.</summary>
    private static bool IsText(string command) =>
        command.Contains("--prompt", StringComparison.Ordinal)
        || command.Contains("--lora", StringComparison.Ordinal)
        || command.Contains("stable-diffusion", StringComparison.Ordinal)
        || command.Contains("photos-cache", StringComparison.Ordinal);

    /// <summary>Commands that need published weights (an original checkpoint, SqueezeNet, CLIP), and incomplete ones.</summary>
    private static bool Omitted(string command) =>
        Array.Exists(
            ["v1-5-pruned-emaonly.safetensors", "--squeezenet", "--clip ", " …"],
            part => command.Contains(part, StringComparison.Ordinal)
        );

    /// <summary>Creates models, pictures and files that a command reads and no earlier command of the page has written.</summary>
    private void Provide(string[] command, bool isText)
    {
        foreach (var word in command.Where((w, k) => k > 0 && command[k - 1] != "--output"))
        {
            if (Path.Exists(_folder[word]) && word != "MODEL")
                continue;
            switch (word)
            {
                case "MODEL" or "stable-diffusion-v1-5" or "sd15" or "models/sft":
                    if (Directory.Exists(_folder[word]))
                        Directory.Delete(_folder[word], recursive: true);
                    Copy(isText || word == "sd15" ? "text-model" : "parts/classes", word);
                    break;
                case "MODEL/vae":
                    Provide(["", "MODEL"], isText);
                    break;
                case "PHOTOS" or "photos" or "my-dog" or "drawn" or "drawn-before" or "drawn-after":
                    Copy("PICTURES", word);
                    break;
                case "prompts.txt":
                    File.WriteAllText(_folder[word], "a red ball\n");
                    break;
                case "style.safetensors" or "other/":
                    Done(
                        "train",
                        "--model",
                        "text-model",
                        "--data",
                        "PICTURES",
                        "--objective",
                        "latent",
                        "--lora-rank",
                        "2",
                        "--steps",
                        "1",
                        "--output",
                        "style"
                    );
                    var weights = Directory.GetFiles(_folder["style"], "pytorch_lora_weights.safetensors", SearchOption.AllDirectories)[0];
                    File.Copy(weights, _folder["style.safetensors"], overwrite: true);
                    Copy(Path.GetRelativePath(_folder.Path, Path.GetDirectoryName(weights)!), "other");
                    Directory.Delete(_folder["style"], recursive: true);
                    break;
                case "runs/lpl":
                    Provide(["", "MODEL"], isText: false);
                    Done("train", "--model", "MODEL", "--data", "PICTURES", "--objective", "lpl", "--steps", "2", "--output", word);
                    break;
                default:
                    break;
            }
        }
    }

    private void Copy(string from, string to)
    {
        foreach (var file in Directory.GetFiles(_folder[from], "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(_folder[to], Path.GetRelativePath(_folder[from], file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }

    private static void Done(params string[] arguments)
    {
        var (code, _, error) = RetouchInProcess.Run(arguments);
        Assert.True(code == 0, $"{string.Join(' ', arguments)}\n{error}");
    }

    private static string[] Shrunk(string[] command)
    {
        var values = Small[command[0]];
        List<string> words = [.. command.Select((w, k) => k > 0 && values.TryGetValue(command[k - 1], out var value) ? value : w)];
        var hasModel = command.Contains("MODEL") || command[0] != "compare";
        foreach (var option in Added.GetValueOrDefault(command[0], []))
        {
            if (!command.Contains(option) && (hasModel || option == "--resamples"))
                words.AddRange([option, values[option]]);
        }

        return [.. words];
    }
}
