using System.Globalization;
using Retouch.Core.Formatting;
using Retouch.Objectives;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Training.HeldOut;
using Retouch.Training.Options;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>
/// What a run does, in lines for its start: model, data, drawn prior pictures and validation if any, device, optimiser, objective and
/// output.
/// </summary>
internal static class RunSummary
{
    /// <summary>The lines, each with its heading.</summary>
    /// <param name="options">Resolved options.</param>
    /// <param name="task">Task of the run.</param>
    /// <param name="denoiser">Training of the denoiser; null for an autoencoder.</param>
    /// <param name="data">Data of the run.</param>
    /// <param name="validator">Validation of the run, or null.</param>
    /// <param name="device">Device of the networks.</param>
    /// <param name="folder">Folder of the run.</param>
    /// <param name="prior">Drawing of prior pictures, or null.</param>
    public static IEnumerable<string> Lines(
        TrainingOptions options,
        ITrainingTask task,
        DenoiserTask? denoiser,
        TrainingData data,
        Validator? validator,
        Device device,
        RunFolder folder,
        PriorDrawing? prior = null
    ) =>
        [
            Line("model", Model(options, task, denoiser)),
            Line("data", Data(options, data)),
            .. prior is null ? Array.Empty<string>() : [Line("prior", prior.Description)],
            .. validator is null ? Array.Empty<string>() : [Line("held out", HeldOut(options.Validation!, validator))],
            Line("device", Device(options, device)),
            Line("steps", Steps(options, data)),
            Line("losses", string.Join(", ", Losses(options))),
            Line("output", Output(options, folder)),
        ];

    private static string Line(string heading, string text) => $"{heading, -8} {text}";

    private static string Model(TrainingOptions options, ITrainingTask task, DenoiserTask? denoiser)
    {
        var origin = options.Model.Path ?? "from scratch";
        var trained = Figures.Count(task.Network.Count);
        if (denoiser is null)
        {
            var part = options.AutoencoderLoss is { DecoderOnly: true } ? "decoder" : "autoencoder";
            return $"{origin}; {trained} parameters of the {part} are trained";
        }

        var network = denoiser.Pipeline.DenoiserComponent.ClassName;
        var adapters = denoiser.Adapted is { } adapted ? $", {adapted.Summary} of {Figures.Count(adapted.Frozen)} frozen parameters" : "";
        return $"{origin}: {network}; {trained} parameters are trained{adapters}";
    }

    private static string Data(TrainingOptions options, TrainingData data)
    {
        var count = Figures.Count(data.Source.Count);
        var origin = options.Data switch
        {
            { Pairs: { } pairs } => $"{pairs}: {count} pairs",
            { Folder: { } pictures } => $"{pictures}: {count} pictures",
            { Shards: { } shards } => $"{string.Join(", ", shards)}: {count} pictures",
            { Parquet: { } tables } => $"{string.Join(", ", tables)}: {count} pictures",
            _ => $"{count} procedural scenes",
        };
        var kind = options.Data.Prior is null ? "single" : "prior";
        var extra = data.Singles is null ? "" : $" and {Figures.Count(data.Singles.Source.Count)} {kind} pictures";
        var classes = data.Source.Classes.Count is > 1 and var n ? $" in {n} classes" : "";
        var size = options.Data.Buckets is { } buckets
            ? $"{buckets.Sizes(options.Data.Side).Count} sizes of about {options.Data.Side} × {options.Data.Side} pixels"
            : $"{options.Data.Side} × {options.Data.Side} pixels";
        return $"{origin}{extra}{classes}, {size}";
    }

    private static string HeldOut(ValidationOptions validation, Validator validator)
    {
        var count = validator.Source.Count;
        var samples =
            $"{Figures.Count(count)} {(validator.Source is Retouch.Data.Pairs.IPairSource ? "pair" : "picture")}{(count == 1 ? "" : "s")}";
        var origin = validation.Folder is { } folder ? $" of {folder}" : " of the data";
        var times = validator.Parts == 1 ? "" : $" at {validator.Parts} timesteps each";
        var stop = validation.Stop is { } s ? $"; stops after {s.Patience} without improvement of {validator.Term}" : "";
        return $"{samples}{origin}{times}, every {Figures.Count(validation.Every, "step")}{stop}";
    }

    private static string Device(TrainingOptions options, Device device)
    {
        var threads = device.Type == DeviceType.Cpu ? $", {TorchRuntime.Threads} thread{(TorchRuntime.Threads == 1 ? "" : "s")}" : "";
        return $"{device}{threads}, {options.Precision}";
    }

    private static string Steps(TrainingOptions options, TrainingData data)
    {
        var batch = options.Batch.Size * options.Batch.Accumulate;
        var accumulated = options.Batch.Accumulate > 1 ? $" ({options.Batch.Accumulate} × {options.Batch.Size})" : "";
        var epochs = (double)options.Steps * batch / data.Source.Count;
        var schedule = options.Optimiser.Schedule;
        var (kind, constant) = (schedule.ShapeOrDefault, Torch.Optim.LearningRateShape.Constant);
        var shape = kind == constant ? "constant" : $"{OptionValue.Of(kind)} decay";
        var warmup = schedule.WarmupSteps > 0 ? $" after {Figures.Count(schedule.WarmupSteps, "step")} of warm-up" : "";
        return string.Create(CultureInfo.InvariantCulture, $"{Figures.Count(options.Steps)} of {batch} samples{accumulated}, ")
            + string.Create(CultureInfo.InvariantCulture, $"{epochs:0.##} {(epochs == 1 ? "epoch" : "epochs")}; ")
            + $"{OptimiserOptions.NameOf(options.Optimiser.Kind)}, learning rate "
            + string.Create(CultureInfo.InvariantCulture, $"{options.Optimiser.BaseRate:G}, {shape}{warmup}");
    }

    private static IEnumerable<string> Losses(TrainingOptions options)
    {
        if (options.Objective is not { } objective)
        {
            var loss = options.AutoencoderLoss!;
            yield return $"{OptionValue.Of(loss.Reconstruction)} reconstruction";
            yield return string.Create(CultureInfo.InvariantCulture, $"KL ({loss.KlWeight:G})");
            if (loss.PyramidWeight > 0)
                yield return string.Create(CultureInfo.InvariantCulture, $"pyramid ({loss.PyramidWeight:G})");
            if (loss.Perceptual is { } network)
                yield return string.Create(
                    CultureInfo.InvariantCulture,
                    $"perceptual ({network.Weight:G}, on {Path.GetFileName(network.Features ?? network.Trunk)})"
                );
            if (loss.Adversarial is { } adversarial)
                yield return string.Create(CultureInfo.InvariantCulture, $"adversarial ({adversarial.Weight:G} of the gradient")
                    + (adversarial.Start > 0 ? $", from step {Figures.Count(adversarial.Start)} on)" : ")");
            yield break;
        }

        if (objective.DiffusionWeight > 0)
            yield return string.Create(CultureInfo.InvariantCulture, $"latent ({objective.DiffusionWeight:G})");
        if (options.Data.Prior is { } prior)
            yield return string.Create(CultureInfo.InvariantCulture, $"prior ({prior.Weight:G})");
        if (objective.Perceptual is { } perceptual)
            yield return $"lpl ({Weight(perceptual.Weight)})";
        if (objective.Pixel is { } pixel)
            yield return $"pixel ({Weight(pixel.Weight)})";
        if (objective.Preference is { } preference)
            yield return $"{OptionValue.Of(preference.Method)} in {OptionValue.Of(preference.Space)} space ({Weight(preference.Weight)})";
    }

    private static string Weight(TermWeight weight) =>
        weight.Fixed is null
            ? $"{weight with { WarmUp = null }}, measured over {weight.WarmUp ?? TermWeight.DefaultWarmUp} steps"
            : weight.ToString();

    private static string Output(TrainingOptions options, RunFolder folder)
    {
        var every =
            options.Checkpoints.Every > 0
                ? $"a checkpoint every {Figures.Count(options.Checkpoints.Every, "step")}"
                : "one checkpoint at the end";
        var averages = string.Join(", ", options.Averages.Select(static a => a.Decay.ToString("R", CultureInfo.InvariantCulture)));
        return $"{folder.Path}, {every}" + (averages.Length > 0 ? $", weight averages of decay {averages}" : "");
    }
}
