using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Training.Options;

namespace Retouch.Experiments.Demo;

/// <summary>Compared arm.</summary>
/// <param name="Key">Name of its folders.</param>
/// <param name="Name">Name in the report.</param>
/// <param name="Summary">Distinguishing settings.</param>
/// <param name="Objective">Value of the option <c>objective</c>.</param>
public sealed record DemoArm(string Key, string Name, string Summary, string Objective)
{
    /// <summary>Initial model.</summary>
    public static DemoArm Base { get; } = new("base", "before", "the initial model of all arms", "");

    /// <summary>Arms, the control first, in the order of their memory.</summary>
    public static IReadOnlyList<DemoArm> All { get; } =
    [
        new("latent", "latent only", "the diffusion loss only", "{}"),
        new(
            "lpl",
            "+ LPL",
            "plus the latent perceptual loss: error of the x0 prediction in the decoder's feature space",
            """{ "perceptual": { "weight": { "gradientRatio": 1, "warmUp": 30 }, "errorScale": 1 } }"""
        ),
        new(
            "pixel",
            "+ pixel loss",
            "plus the pixel-space loss: squared error of the decoded prediction",
            """{ "pixel": { "weight": { "gradientRatio": 0.3, "warmUp": 30 } } }"""
        ),
    ];
}

/// <summary>Files shipped with the program: recipes, and the small pretrained pipeline.</summary>
public static class DemoRecipes
{
    private static string Folder => Path.Combine(AppContext.BaseDirectory, "demo");

    /// <summary>Pretrained pipeline.</summary>
    /// <exception cref="EnvironmentException">The files are missing.</exception>
    public static string Model()
    {
        var model = Path.Combine(Folder, "model");
        return Directory.Exists(model)
            ? model
            : throw new EnvironmentException(
                $"The demo's pretrained networks are missing ('{model}'). Build from a complete checkout, or give a "
                    + $"pipeline with --model."
            );
    }

    /// <summary>Feature network trained on the classes of the procedural scenes.</summary>
    public static string Features() => Path.Combine(Folder, "features");

    /// <summary>Files of recorded results: of the demo's own recipe, then of photographs.</summary>
    public static IReadOnlyList<string> Recorded =>
        [Path.Combine(Folder, "recorded.json"), Path.Combine(Folder, "recorded-photographs.json")];

    /// <summary>Recipe as JSON, for modification.</summary>
    /// <param name="name">Name: autoencoder, denoiser or post-training.</param>
    public static JsonObject Read(string name) => OptionsFile.Read(Path.Combine(Folder, name + ".json"));

    /// <summary>Sets data, device and precision of a recipe.</summary>
    public static void SetData(JsonObject options, DemoSettings settings, DemoFolder folder)
    {
        OptionsFile.Set(options, "device", JsonValue.Create(settings.Device));
        OptionsFile.Set(options, "precision", JsonValue.Create(settings.Precision));
        OptionsFile.Set(options, "data.size", (JsonNode)settings.Size);
        if (settings.Data is null)
            return;
        var data = options["data"]!.AsObject();
        data.Remove("sceneCount");
        data.Remove("sceneSeed");
        data["folder"] = folder.TrainingPictures;
    }

    /// <summary>Converts a recipe to options.</summary>
    public static TrainingOptions Bind(JsonObject options, string name)
    {
        var bound = OptionsFile.Bind<TrainingOptions>(options, $"demo/{name}.json");
        // The learning rate must complete its warm-up within the run.
        var warmup = Math.Min(bound.Optimiser.Schedule.WarmupSteps, bound.Steps / 10);
        return bound with { Optimiser = bound.Optimiser with { Schedule = bound.Optimiser.Schedule with { WarmupSteps = warmup } } };
    }
}
