using System.CommandLine;
using System.Globalization;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Experiments.Sampling;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;
using Retouch.Pipelines.SingleFile;
using Retouch.Torch;

namespace Retouch.Cli.Commands;

/// <summary>
/// <c>retouch convert</c>: converts a single file in the layout of Stable Diffusion's original code to a diffusers folder, or a diffusers
/// folder to another type or file size.
/// </summary>
internal static class ConvertCommand
{
    private static readonly (string Suffix, long Factor)[] Units =
    [
        ("GIB", 1L << 30),
        ("MIB", 1L << 20),
        ("KIB", 1L << 10),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("KB", 1_000),
        ("B", 1),
    ];

    private static readonly Argument<string> Source = new("input")
    {
        Description =
            "A .safetensors file of Stable Diffusion 1.x, 2.x or SDXL, or a diffusers folder (whole, one component, or adapters "
            + "with a known base model).",
    };
    private static readonly Option<string> Target = new("--output")
    {
        Description = "Output folder; must not exist or be empty.",
        Required = true,
    };
    private static readonly Option<string?> Type = new("--dtype")
    {
        Description = $"Type of the weights: {SharedOptions.Precisions}. Default: as stored.",
    };
    private static readonly Option<string?> Shard = new("--max-shard-size")
    {
        Description = "Maximum size of a weight file, such as 5GB. Default: one file per component.",
    };
    private static readonly Option<string?> Tokenizer = new("--tokenizer")
    {
        Description =
            "For single files, which have no tokenizer: a folder with tokenizer/ (SDXL: and tokenizer_2/), or with vocab.json and "
            + "merges.txt. Omitted by default.",
    };
    private static readonly Option<string?> Prediction = new("--prediction")
    {
        Description =
            "For single files: prediction type of the denoiser, epsilon or v_prediction. Default: as stored in the file; "
            + "v_prediction for Stable Diffusion 2, which does not store it.",
    };
    private static readonly Option<string?> Variant = new("--variant")
    {
        Description = "For folders: variant of the weights, such as fp16.",
    };

    private static readonly LoraFlags Lora = new();

    /// <summary>Written component.</summary>
    internal sealed record Component(string Name, string? Class, int Tensors);

    /// <summary>Result of a conversion.</summary>
    internal sealed record Result(
        string Output,
        SingleFileKind? Kind,
        string? Prediction,
        IReadOnlyList<Component> Components,
        IReadOnlyList<string>? LeftOut
    );

    /// <summary>Creates the verb.</summary>
    public static Command Create()
    {
        var command = new Command(
            "convert",
            "Convert a single-file checkpoint to a diffusers folder, or a diffusers folder to another type; merge adapters into a model."
        )
        {
            Source,
            Target,
            Type,
            Shard,
            Tokenizer,
            Prediction,
            Variant,
        };
        Lora.AddTo(command);
        command.SetAction(static parsed => Run(parsed));
        return command;
    }

    private static int Run(ParseResult parsed)
    {
        var (source, target) = (parsed.ModelAt(parsed.GetRequiredValue(Source)), parsed.GetRequiredValue(Target));
        if (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any())
            throw new UsageException($"--output: '{target}' is not empty; give a new folder.");
        DType? dtype = parsed.GetValue(Type) is not { } name
            ? null
            : DTypes.FindPrecision(name) ?? throw new UsageException($"--dtype: '{name}' is not {SharedOptions.Precisions}.");
        long? shard = parsed.GetValue(Shard) is { } size ? Bytes(size) : null;
        var isFolder = Directory.Exists(source);
        if (!isFolder && !File.Exists(source))
            throw new InputException($"'{source}' does not exist.");
        var adapters = Lora.Read(parsed);
        if (!isFolder && adapters.Count > 0)
            throw new UsageException("--lora is merged into a diffusers folder; convert the single file first.");
        var inert = ((Option[])(isFolder ? [Tokenizer, Prediction] : [Variant]))
            .Where(o => parsed.GetResult(o) is not null)
            .Select(static o => o.Name)
            .ToArray();
        if (inert.Length > 0)
            throw new UsageException($"{string.Join(", ", inert)}: no effect for {(isFolder ? "a diffusers folder" : "a single file")}.");
        using var scope = TensorScope.Enter();
        var result =
            isFolder && (adapters.Count > 0 || AdapterFolder.IsAt(source)) ? Merged(parsed, source, target, dtype, shard, adapters)
            : isFolder ? Folder(parsed, source, target, dtype, shard)
            : SingleFile(parsed, source, target, dtype, shard);
        Output.For(parsed).Write(result, writer => Describe(writer, result));
        return 0;
    }

    private static Result Folder(ParseResult parsed, string source, string target, DType? dtype, long? shard)
    {
        if (dtype is null && shard is null)
            throw new UsageException("Conversion of a diffusers folder needs --dtype or --max-shard-size.");
        var done = FolderConversion.Convert(source, target, dtype, shard, parsed.GetValue(Variant));
        Notes.Write(done.Select(static c => c.Note).OfType<string>(), parsed.InvocationConfiguration.Error);
        return new Result(target, null, null, [.. done.Select(static c => new Component(c.Name, null, c.Tensors))], null);
    }

    /// <summary>Loads the whole model in its stored type.</summary>
    private static Result Merged(
        ParseResult parsed,
        string source,
        string target,
        DType? dtype,
        long? shard,
        IReadOnlyList<MergedAdapters> adapters
    )
    {
        using var pipeline = LatentDiffusionPipeline.Load(source, Device.Cpu, dtype: null, parsed.GetValue(Variant), autoencoderType: null);
        LoraFlags.Merge(pipeline, adapters);
        LoraFlags.Warn(pipeline, parsed.InvocationConfiguration.Error);
        pipeline.Save(target, dtype, maxShardBytes: shard);
        return new Result(
            target,
            null,
            null,
            [
                new Component(pipeline.DenoiserName, null, pipeline.Denoiser.Parameters.All.Count),
                new Component("vae", null, pipeline.Autoencoder.Parameters.All.Count),
            ],
            null
        );
    }

    private static Result SingleFile(ParseResult parsed, string source, string target, DType? dtype, long? shard)
    {
        if (!source.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))
            throw new InputException(
                $"'{source}' is not a .safetensors file. Pickled checkpoints (.ckpt) are not supported: save the model as "
                    + $"safetensors first."
            );
        var prediction = parsed.GetValue(Prediction);
        if (prediction is not (null or "epsilon" or "v_prediction"))
            throw new UsageException($"--prediction: '{prediction}' is neither epsilon nor v_prediction.");
        var options = new SingleFileOptions
        {
            DType = dtype,
            MaxShardSize = shard,
            Tokenizer = parsed.GetValue(Tokenizer),
            Prediction = prediction,
        };
        var model = SingleFileConversion.Convert(source, target, options);
        var error = parsed.InvocationConfiguration.Error;
        Notes.Write(model.Notes, error);
        if (options.Tokenizer is null)
            error.WriteLine("note: the folder has no tokenizer, since single files have none; add one with --tokenizer DIR.");
        if (prediction is null && model.PredictsVelocity is null)
            error.WriteLine(
                "note: the file does not contain the prediction type; v_prediction is assumed (2.x at 768 pixels). "
                    + "Use --prediction epsilon for base models at 512."
            );
        return new Result(
            target,
            model.Kind,
            options.PredictionOf(model),
            [.. model.Components.Select(static c => new Component(c.Name, c.ClassName, c.Keys.Count))],
            model.LeftOut
        );
    }

    private static void Describe(TextWriter writer, Result result)
    {
        if (result.Kind is { } kind)
            writer.WriteLine($"{kind}, predicts {result.Prediction}");
        foreach (var component in result.Components)
            writer.WriteLine(
                (
                    $"{(component.Name.Length == 0 ? "weights" : component.Name), -16} "
                    + $"{component.Tensors, 5} tensors  {component.Class}"
                ).TrimEnd()
            );
        if (result.LeftOut is { Count: > 0 } left)
            writer.WriteLine(
                $"skipped: {left.Count} tensors ({string.Join(", ", left.Select(static n => n.Split('.')[0]).Distinct().Take(8))})"
            );
        writer.WriteLine($"written to {result.Output}");
    }

    private static long Bytes(string text)
    {
        var upper = text.Trim().ToUpperInvariant();
        var (suffix, factor) = Array.Find(Units, u => upper.EndsWith(u.Suffix, StringComparison.Ordinal));
        return
            suffix is not null
            && double.TryParse(upper[..^suffix.Length], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            && number * factor >= 1
            ? (long)(number * factor)
            : throw new UsageException($"--max-shard-size: '{text}' is not a size such as 5GB, 500MB or 2GiB.");
    }
}
