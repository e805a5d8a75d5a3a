using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Training.Options;

namespace Retouch.Experiments.Demo;

/// <summary>One of the ways of post-training that are compared.</summary>
/// <param name="Key">Names its folders.</param>
/// <param name="Name">Names it in the report.</param>
/// <param name="Summary">What sets it apart.</param>
/// <param name="Objective">The option <c>objective</c>.</param>
public sealed record DemoArm(string Key, string Name, string Summary, string Objective)
{
    /// <summary>The model before post-training.</summary>
    public static DemoArm Base { get; } = new("base", "before", "the model that all arms start from", "");

    /// <summary>The arms, the control first; each needs more memory than the one before.</summary>
    public static IReadOnlyList<DemoArm> All { get; } =
    [
        new("latent", "latent only", "the usual diffusion loss, in latent space", "{}"),
        new(
            "lpl",
            "+ LPL",
            "the latent perceptual loss beside it: the decoder's features of the estimate against those of the truth",
            """{ "perceptual": { "weight": { "gradientRatio": 0.3, "warmUp": 30 } } }"""
        ),
        new(
            "pixel",
            "+ pixel loss",
            "the squared error behind the decoder beside it",
            """{ "pixel": { "weight": { "gradientRatio": 0.3, "warmUp": 30 } } }"""
        ),
    ];
}

/// <summary>The files that come with the program: recipes, and the small pretrained pipeline.</summary>
public static class DemoRecipes
{
    private static string Folder => Path.Combine(AppContext.BaseDirectory, "demo");

    /// <summary>The pretrained pipeline.</summary>
    /// <exception cref="EnvironmentException">It is not there.</exception>
    public static string Model()
    {
        var model = Path.Combine(Folder, "model");
        return Directory.Exists(model)
            ? model
            : throw new EnvironmentException(
                $"The demo's pretrained networks are missing: there is no '{model}'. Build from a complete checkout, or name a "
                    + $"pipeline with --model."
            );
    }

    /// <summary>A recipe, to be changed.</summary>
    /// <param name="name">autoencoder, denoiser or post-training.</param>
    public static JsonObject Read(string name) => OptionsFile.Read(Path.Combine(Folder, name + ".json"));

    /// <summary>Puts the data of the demo into a recipe, and where it computes.</summary>
    public static void SetData(JsonObject options, DemoSettings settings, DemoFolder folder)
    {
        OptionsFile.Set(options, "device", JsonValue.Create(settings.Device));
        OptionsFile.Set(options, "data.size", (JsonNode)settings.Size);
        if (settings.Data is null)
            return;
        var data = options["data"]!.AsObject();
        data.Remove("sceneCount");
        data.Remove("sceneSeed");
        data["folder"] = folder.TrainingPictures;
    }

    /// <summary>Turns a recipe into options.</summary>
    public static TrainingOptions Bind(JsonObject options, string name)
    {
        var bound = OptionsFile.Bind<TrainingOptions>(options, $"demo/{name}.json");
        // A rate that is still rising when the run ends has trained nothing.
        var warmup = Math.Min(bound.Optimiser.Schedule.WarmupSteps, bound.Steps / 10);
        return bound with { Optimiser = bound.Optimiser with { Schedule = bound.Optimiser.Schedule with { WarmupSteps = warmup } } };
    }
}
