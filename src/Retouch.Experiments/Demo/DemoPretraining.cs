using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Experiments.Phases;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Experiments.Demo;

/// <summary>Planned training of the networks, decided once per demo.</summary>
/// <param name="AutoencoderSteps">Steps of the autoencoder.</param>
/// <param name="DenoiserSteps">Steps of the denoiser.</param>
/// <param name="AutoencoderStepSeconds">Seconds per step of the autoencoder, measured.</param>
/// <param name="DenoiserStepSeconds">Seconds per step of the denoiser, measured.</param>
/// <param name="EncodingSeconds">Seconds to encode the pictures for the denoiser, estimated.</param>
internal sealed record PretrainingPlan(
    long AutoencoderSteps,
    long DenoiserSteps,
    double AutoencoderStepSeconds,
    double DenoiserStepSeconds,
    double EncodingSeconds
)
{
    /// <summary>Total seconds.</summary>
    public double Seconds => (AutoencoderSteps * AutoencoderStepSeconds) + EncodingSeconds + (DenoiserSteps * DenoiserStepSeconds);
}

/// <summary>
/// Provides the initial pipeline of all arms in the demo's folder: the pretrained one of the program, or one trained first.
/// </summary>
public static class DemoPretraining
{
    private const double DefaultMinutes = 15;
    private const double AutoencoderShare = 0.3;

    // The forward pass of the encoder, relative to a training step of the autoencoder (a backward pass counts as two forward passes).
    private const double EncodingPart = 0.15;

    /// <summary>Creates the pipeline, unless it exists.</summary>
    public static void Prepare(DemoSettings settings, DemoFolder folder, PhaseConsole console)
    {
        if (Directory.Exists(folder.Base))
            return;
        if (!settings.Pretrains)
        {
            using var given = LatentDiffusionPipeline.Load(
                settings.Model ?? DemoRecipes.Model(),
                Device.Cpu,
                dtype: null,
                autoencoderType: null
            );
            if (settings.Model is not null && given.NativeSize != settings.Size)
                throw new UsageException(
                    $"'{settings.Model}' has a native size of {given.NativeSize} pixels; give --size {given.NativeSize}."
                );
            given.Save(folder.Base);
            return;
        }

        var start = Path.Combine(settings.Model ?? DemoRecipes.Model(), "vae");
        var plan = Plan(settings, folder, start, console);
        var autoencoder = folder.Run("pretraining", "autoencoder");
        console.Train(
            $"Training the autoencoder: {Figures.Count(plan.AutoencoderSteps, "step")}",
            Autoencoder(settings, folder, start, plan.AutoencoderSteps),
            autoencoder
        );
        var denoiser = folder.Run("pretraining", "denoiser");
        console.Train(
            $"Training the denoiser: {Figures.Count(plan.DenoiserSteps, "step")}",
            Denoiser(settings, folder, PhaseConsole.ModelOf(autoencoder), plan.DenoiserSteps),
            denoiser
        );
        using var pipeline = LatentDiffusionPipeline.Load(PhaseConsole.ModelOf(denoiser), Device.Cpu, dtype: null, autoencoderType: null);
        pipeline.Save(folder.Base, DType.Float16);
    }

    private static PretrainingPlan Plan(DemoSettings settings, DemoFolder folder, string vae, PhaseConsole console)
    {
        var file = folder.In("pretraining", "plan.json");
        if (File.Exists(file))
            return OptionsFile.Bind<PretrainingPlan>(OptionsFile.Read(file), file);
        console.Heading("Estimating the training time of the networks");
        double StepSeconds(TrainingOptions options)
        {
            using var run = TrainingRun.Start(options, null, console.Time);
            return run.Plan(console.Cancellation).SecondsPerStep;
        }

        var autoencoder = Autoencoder(settings, folder, vae, null);
        var denoiser = Denoiser(settings, folder, vae, null);
        var first = StepSeconds(autoencoder);
        // A step on cached latents does not depend on the pictures: a few scenes suffice for the measurement.
        const int Enough = 64;
        var measured = DemoRecipes.Read("denoiser")["model"]!["config"]!.DeepClone().AsObject();
        foreach (var member in new[] { "sample_size", "in_channels", "out_channels" })
            measured[member] = denoiser.Model.Config![member]!.DeepClone();
        var second = StepSeconds(
            denoiser with
            {
                Model = denoiser.Model with { Config = measured },
                Data = new DataOptions
                {
                    SceneCount = Enough,
                    SceneSeed = 1,
                    Size = settings.Size,
                    CacheLatents = true,
                },
            }
        );
        var pictures = settings.Data is null ? denoiser.Data.SceneCount ?? 0 : ImageFolder.Open(folder.TrainingPictures).Count;
        var encoding = first / autoencoder.Batch.Size * EncodingPart * pictures;
        var plan = new PretrainingPlan(autoencoder.Steps, denoiser.Steps, first, second, encoding);
        if ((settings.Minutes ?? (settings.Data is null ? null : DefaultMinutes)) is { } minutes)
        {
            var seconds = minutes * 60;
            plan = plan with
            {
                AutoencoderSteps = Math.Max(1, (long)(AutoencoderShare * seconds / first)),
                DenoiserSteps = Math.Max(1, (long)((((1 - AutoencoderShare) * seconds) - encoding) / second)),
            };
        }

        console.Say($"autoencoder  {Figures.Count(plan.AutoencoderSteps, "step")} of {Figures.Duration(TimeSpan.FromSeconds(first))}");
        console.Say($"denoiser     {Figures.Count(plan.DenoiserSteps, "step")} of {Figures.Duration(TimeSpan.FromSeconds(second))}");
        console.Say($"together     about {Figures.Duration(TimeSpan.FromSeconds(plan.Seconds))}, followed by post-training and evaluation");
        OptionsFile.Save(plan, file);
        return plan;
    }

    private static TrainingOptions Autoencoder(DemoSettings settings, DemoFolder folder, string start, long? steps)
    {
        var options = DemoRecipes.Read("autoencoder");
        DemoRecipes.SetData(options, settings, folder);
        if (settings.Data is not null)
            options["model"] = new JsonObject { ["path"] = start, ["measureScaling"] = true };
        return Finish(options, "autoencoder", settings, steps);
    }

    private static TrainingOptions Denoiser(DemoSettings settings, DemoFolder folder, string autoencoder, long? steps)
    {
        var options = DemoRecipes.Read("denoiser");
        DemoRecipes.SetData(options, settings, folder);
        var config = options["model"]!["config"]!.AsObject();
        using (var component = ComponentFolder.Describe(autoencoder))
        {
            if (component.Network is not Autoencoders.IAutoencoder network)
                throw new InputException($"'{autoencoder}' is a {component.ClassName}, not an autoencoder.");
            config["sample_size"] = settings.Size / network.Downsampling;
            config["in_channels"] = network.LatentChannels;
            config["out_channels"] = network.LatentChannels;
        }

        if (settings.Data is not null)
            config["num_embeds_ada_norm"] = ImageFolder.Open(folder.TrainingPictures).Classes.Count;
        OptionsFile.Set(options, "model.autoencoder", JsonValue.Create(autoencoder));
        return Finish(options, "denoiser", settings, steps);
    }

    private static TrainingOptions Finish(JsonObject options, string name, DemoSettings settings, long? steps)
    {
        var bound = OptionsFile.Bind<TrainingOptions>(options, name);
        OptionsFile.Set(
            options,
            "seed",
            JsonValue.Create(settings.Data is null ? bound.Seed : SplitMix64.Derive(settings.Seed, bound.Seed))
        );
        OptionsFile.Set(options, "steps", JsonValue.Create(steps ?? bound.Steps));
        return DemoRecipes.Bind(options, name);
    }
}
