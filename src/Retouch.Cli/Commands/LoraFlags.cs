using System.CommandLine;
using System.Globalization;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Experiments.Sampling;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;

namespace Retouch.Cli.Commands;

/// <summary>Options of verbs that merge adapters into a model.</summary>
internal sealed class LoraFlags
{
    private readonly Option<string[]> _files = new("--lora")
    {
        Description = $"Low-rank adapters to merge into the model: a file, or a folder with {LoraFile.Name}. Can be repeated.",
    };
    private readonly Option<double[]> _scales = new("--lora-scale")
    {
        Description = "Scale of the adapters; default 1, as trained. One value, or one per --lora in the same order.",
    };

    public void AddTo(Command command)
    {
        command.Add(_files);
        command.Add(_scales);
    }

    /// <summary>Adapters given by --lora; empty without it.</summary>
    /// <exception cref="UsageException">The number of scales does not match the number of files.</exception>
    /// <exception cref="InputException">A file does not exist.</exception>
    public IReadOnlyList<MergedAdapters> Read(ParseResult parsed)
    {
        var (files, scales) = (parsed.GetValue(_files) ?? [], parsed.GetValue(_scales) ?? []);
        if (scales.Length > 1 ? scales.Length != files.Length : scales.Length == 1 && files.Length == 0)
            throw new UsageException($"{scales.Length} --lora-scale for {files.Length} --lora; give one for all, or one for each.");
        foreach (var scale in scales)
        {
            if (!double.IsFinite(scale) || scale == 0)
                throw new UsageException(
                    string.Create(CultureInfo.InvariantCulture, $"--lora-scale {scale}: must be finite and other than 0.")
                );
        }

        foreach (var file in files)
        {
            if (!File.Exists(LoraFile.Locate(file)))
                throw new InputException(
                    Directory.Exists(file) ? $"--lora: '{file}' contains no {LoraFile.Name}." : $"--lora: the file '{file}' does not exist."
                );
        }

        return
        [
            .. files.Select(
                (f, k) =>
                    new MergedAdapters(
                        Path.GetFullPath(f),
                        scales.Length == 0 ? 1
                            : scales.Length == 1 ? scales[0]
                            : scales[k]
                    )
            ),
        ];
    }

    /// <summary>Writes the warnings of a pipeline.</summary>
    public static void Warn(LatentDiffusionPipeline pipeline, TextWriter writer) => Notes.Write(pipeline.Warnings, writer);

    /// <summary>Merges the adapters, one after the other.</summary>
    /// <exception cref="InputException">Adapters do not match the denoiser.</exception>
    public static void Merge(LatentDiffusionPipeline pipeline, IReadOnlyList<MergedAdapters> adapters)
    {
        foreach (var (path, scale) in adapters)
            pipeline.Merge(path, scale);
    }
}
