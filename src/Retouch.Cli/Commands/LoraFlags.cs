using System.CommandLine;
using System.Globalization;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Experiments.Sampling;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;

namespace Retouch.Cli.Commands;

/// <summary>The options of verbs that lay adapters over a model.</summary>
internal sealed class LoraFlags
{
    private readonly Option<string[]> _files = new("--lora")
    {
        Description = $"Low-rank adapters to lay over the model: a file, or a folder with {LoraFile.Name}. Can be repeated.",
    };
    private readonly Option<double[]> _scales = new("--lora-scale")
    {
        Description = "How strongly: 1, the default, is as trained. One for all, or one for each --lora in their order.",
    };

    public void AddTo(Command command)
    {
        command.Add(_files);
        command.Add(_scales);
    }

    /// <summary>What was asked for; empty where nothing was.</summary>
    /// <exception cref="UsageException">The scales do not go with the files.</exception>
    /// <exception cref="InputException">A file is not there.</exception>
    public IReadOnlyList<LaidOver> Read(ParseResult parsed)
    {
        var (files, scales) = (parsed.GetValue(_files) ?? [], parsed.GetValue(_scales) ?? []);
        if (scales.Length > 1 ? scales.Length != files.Length : scales.Length == 1 && files.Length == 0)
            throw new UsageException($"{scales.Length} --lora-scale for {files.Length} --lora; give one for all, or one for each.");
        foreach (var scale in scales)
        {
            if (!double.IsFinite(scale) || scale == 0)
                throw new UsageException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"--lora-scale is {scale}; it is a number other than 0, with which the adapters would do nothing."
                    )
                );
        }

        foreach (var file in files)
        {
            if (!File.Exists(LoraFile.Locate(file)))
                throw new InputException(
                    Directory.Exists(file) ? $"--lora: '{file}' holds no {LoraFile.Name}." : $"--lora: there is no file '{file}'."
                );
        }

        return
        [
            .. files.Select(
                (f, k) =>
                    new LaidOver(
                        Path.GetFullPath(f),
                        scales.Length == 0 ? 1
                            : scales.Length == 1 ? scales[0]
                            : scales[k]
                    )
            ),
        ];
    }

    /// <summary>Says what is odd about a model that consists of adapters.</summary>
    public static void Warn(LatentDiffusionPipeline pipeline, TextWriter writer) => Notes.Write(pipeline.Warnings, writer);

    /// <summary>Lays them over, one after the other.</summary>
    /// <exception cref="InputException">One does not fit the denoiser.</exception>
    public static void Merge(LatentDiffusionPipeline pipeline, IReadOnlyList<LaidOver> adapters)
    {
        foreach (var (path, scale) in adapters)
            pipeline.Merge(path, scale);
    }
}
