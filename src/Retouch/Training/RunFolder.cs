using System.Globalization;
using Retouch.Torch.Errors;

namespace Retouch.Training;

/// <summary>The folder of a run: options, metrics, events, checkpoints, samples, models, quarantine.</summary>
public sealed class RunFolder
{
    private RunFolder(string path) => Path = path;

    /// <summary>The folder, as an absolute path.</summary>
    public string Path { get; }

    /// <summary>The resolved options.</summary>
    public string OptionsFile => System.IO.Path.Combine(Path, "options.json");

    /// <summary>One JSON object a step.</summary>
    public string MetricsFile => System.IO.Path.Combine(Path, "metrics.jsonl");

    /// <summary>Pictures that could not be read.</summary>
    public string QuarantineFile => System.IO.Path.Combine(Path, "quarantine.jsonl");

    /// <summary>Sample grids.</summary>
    public string SamplesFolder => System.IO.Path.Combine(Path, "samples");

    /// <summary>Starts a new run.</summary>
    /// <exception cref="UsageException">The folder holds something already; nothing is ever overwritten.</exception>
    public static RunFolder Create(string path)
    {
        var full = System.IO.Path.GetFullPath(path);
        if (File.Exists(full) || (Directory.Exists(full) && Directory.EnumerateFileSystemEntries(full).Any()))
            throw new UsageException($"The run folder '{full}' is not empty. Choose another with --output, or go on with the run in it by --resume {path}.");
        try
        {
            Directory.CreateDirectory(full);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EnvironmentException($"Cannot create the run folder '{full}': {e.Message}", e);
        }

        return new RunFolder(full);
    }

    /// <summary>Opens a run that was started before.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public static RunFolder Open(string path)
    {
        var run = new RunFolder(System.IO.Path.GetFullPath(path));
        return File.Exists(run.OptionsFile) ? run : throw new InputException($"'{run.Path}' is no run: it has no options.json. Give the folder that --output named.");
    }

    /// <summary>Where the result is written: of the trained weights, or of an average by its decay.</summary>
    public string ModelFolder(double? decay) =>
        System.IO.Path.Combine(Path, decay is { } d ? string.Create(CultureInfo.InvariantCulture, $"model-average-{d}") : "model");
}
