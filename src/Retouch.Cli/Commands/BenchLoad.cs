using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Denoisers.UNet;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Safetensors;
using Retouch.Training;

namespace Retouch.Cli.Commands;

/// <summary>
/// <c>retouch bench weights</c> and <c>retouch bench load</c>: time and memory to load a U-Net of any size, with random weights.
/// </summary>
internal static class BenchLoad
{
    private sealed record Loaded(
        long StoredBytes,
        double LoadSeconds,
        long PeakAfterLoading,
        double Ratio,
        double? StepSeconds,
        long Peak,
        double? OutputDeviation
    );

    /// <summary>Creates the verb that writes random weights for a configuration.</summary>
    public static Command CreateWeights()
    {
        var config = new Argument<string>("config") { Description = "Path of a config.json." };
        var target = new Option<string>("--output") { Description = "Output folder.", Required = true };
        var type = TypeOption("float16", "Type of the weights.");
        var seed = new Option<ulong>("--seed") { Description = "Seed of the weights." };
        var command = new Command("weights", "Write random weights for a config.json, one tensor at a time.")
        {
            config,
            target,
            type,
            seed,
        };
        command.SetAction(parsed =>
        {
            var document = ConfigDocument.Read(parsed.GetRequiredValue(config));
            var kind = ComponentRegistry.Find(document.Json, parsed.GetRequiredValue(config));
            using var network = kind.Create(document.Json, parsed.GetRequiredValue(config));
            using var generator = Generator.Create(Device.Cpu, parsed.GetValue(seed));
            var dtype = DTypes.FindPrecision(parsed.GetRequiredValue(type))!.Value;
            var folder = parsed.GetRequiredValue(target);
            // A standard deviation of 1/√fan_in keeps the scale of the maps from layer to layer; scales of normalisations are one.
            SafetensorsWriter.WriteLazily(
                Path.Combine(folder, kind.WeightStem + ".safetensors"),
                kind.Parameters(network)
                    .All.Select(p => new LazyTensor(
                        p.Name,
                        dtype,
                        p.Shape,
                        () =>
                            p.Shape.Length == 1
                                ? Ops.Full(p.Shape, p.Name.EndsWith("weight", StringComparison.Ordinal) ? 1 : 0, dtype: dtype)
                                : (Ops.Randn(p.Shape, generator) / Math.Sqrt(p.Count / (double)p.Shape[0])).To(dtype)
                    ))
            );
            AtomicFile.WriteText(Path.Combine(folder, "config.json"), document.Text);
            return 0;
        });
        return command;
    }

    /// <summary>Creates the verb that loads a U-Net and runs one step.</summary>
    public static Command CreateLoad()
    {
        var model = new Argument<string>("model") { Description = "Folder of a U-Net." };
        var type = new Option<string?>("--dtype") { Description = $"Type to load in: {SharedOptions.Precisions}. Default: as stored." };
        type.OfPrecision();
        var side = new Option<int>("--latent") { Description = "Latent side of a denoising step after loading; 0: no step." };
        var command = new Command("load", "Load a U-Net and report the peak of memory, optionally with one denoising step.")
        {
            model,
            type,
            side,
        };
        command.SetAction(parsed =>
        {
            var result = Measure(
                parsed.GetRequiredValue(model),
                parsed.GetValue(type) is { } name ? DTypes.FindPrecision(name) : null,
                parsed.GetValue(side)
            );
            Output
                .For(parsed)
                .Write(
                    result,
                    writer =>
                    {
                        writer.WriteLine(
                            string.Create(
                                CultureInfo.InvariantCulture,
                                $"loaded {result.StoredBytes / 1e9:0.00} GB of weights in {result.LoadSeconds:0.0} s; peak "
                                    + $"{result.PeakAfterLoading / 1e9:0.00} GB resident, {result.Ratio:0.000} times the weights"
                            )
                        );
                        if (result.StepSeconds is { } seconds)
                            writer.WriteLine(
                                string.Create(
                                    CultureInfo.InvariantCulture,
                                    $"one denoising step in {seconds:0.0} s, output standard deviation {result.OutputDeviation:0.000}; "
                                        + $"peak {result.Peak / 1e9:0.00} GB resident"
                                )
                            );
                    }
                );
            return 0;
        });
        return command;
    }

    private static Loaded Measure(string folder, DType? dtype, int side)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var watch = Stopwatch.StartNew();
        using var component = ComponentFolder.Load(folder, Device.Cpu, dtype);
        var (seconds, peak) = (watch.Elapsed.TotalSeconds, ProcessMemory.Peak());
        if (component.Network is not UNet2DCondition network)
            throw new InputException($"'{folder}' is a {component.ClassName}, not a U-Net.");
        var stored = Directory.EnumerateFiles(folder, "*.safetensors").Sum(static f => new FileInfo(f).Length);
        double? step = null,
            deviation = null;
        if (side > 0)
        {
            using var generator = Generator.Create(Device.Cpu, 1);
            var config = network.Config;
            var condition = new Condition(network.ClassCount is null ? null : Tensor.From([0L]))
            {
                Text = config.TakesText ? Ops.Randn([1, 77, config.CrossAttentionDim![0]], generator) : null,
                TimeIds = config.AdditionTimeEmbedDim is null ? null : Ops.Zeros([1, 6]) + (8 * side),
                Pooled = config.AdditionTimeEmbedDim is { } width
                    ? Ops.Randn([1, config.ProjectionClassEmbeddingsInputDim!.Value - (6L * width)], generator)
                    : null,
            };
            watch.Restart();
            var output = network.Predict(Ops.Randn([1, config.InChannels, side, side], generator), Tensor.From([500L]), condition).Value;
            (step, deviation) = (watch.Elapsed.TotalSeconds, output.To(DType.Float32).Square().Mean().Sqrt().Item());
        }

        return new Loaded(stored, seconds, peak, peak / (double)stored, step, ProcessMemory.Peak(), deviation);
    }

    private static Option<string> TypeOption(string fallback, string description)
    {
        var option = new Option<string>("--dtype") { Description = description, DefaultValueFactory = _ => fallback };
        option.OfPrecision();
        return option;
    }
}
