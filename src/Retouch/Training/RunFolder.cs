using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Io;

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

    /// <summary>The errors of a preference's reference, where they are computed before training and no cache is named.</summary>
    public string ReferenceFolder => System.IO.Path.Combine(Path, "reference");

    /// <summary>What the run depends on beside its options, as of when it was last trained.</summary>
    public string InputsFile => System.IO.Path.Combine(Path, "inputs.json");

    /// <summary>Sample grids.</summary>
    public string SamplesFolder => System.IO.Path.Combine(Path, "samples");

    /// <summary>Names the folder of a new run; it is made by <see cref="Create"/>, once all that could fail before has not.</summary>
    /// <exception cref="UsageException">The folder holds something already; nothing is ever overwritten.</exception>
    public static RunFolder Plan(string path)
    {
        var full = System.IO.Path.GetFullPath(path);
        if (File.Exists(full) || (Directory.Exists(full) && Directory.EnumerateFileSystemEntries(full).Any()))
            throw new UsageException(
                $"The run folder '{full}' is not empty. Choose another with --output, or go on with the run in it by --resume {path}."
            );
        return new RunFolder(full);
    }

    /// <summary>Makes the folder.</summary>
    /// <exception cref="EnvironmentException">It cannot be made.</exception>
    public void Create()
    {
        try
        {
            Directory.CreateDirectory(Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EnvironmentException($"Cannot create the run folder '{Path}': {Reasons.Of(e)}. Choose another with --output.", e);
        }
    }

    /// <summary>
    /// Keeps other processes from training in this folder until the result is disposed; a killed process lets go by itself.
    /// </summary>
    /// <exception cref="UsageException">Another process trains in it.</exception>
    /// <exception cref="EnvironmentException">The folder cannot be written to.</exception>
    public IDisposable Lock()
    {
        const int WouldBlock = 11; // EAGAIN, which .NET passes on as the error of a lock that is held
        try
        {
            return new FileStream(System.IO.Path.Combine(Path, ".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (e.HResult is WouldBlock or unchecked((int)0x80070020))
        {
            throw new UsageException($"Another process trains in '{Path}'. Wait for it or stop it first.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EnvironmentException(
                $"Cannot write to the run folder '{Path}': {Reasons.Of(e)}. Free some space or mend its permissions.",
                e
            );
        }
    }

    /// <summary>Opens a run that was started before.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public static RunFolder Open(string path)
    {
        var run = new RunFolder(System.IO.Path.GetFullPath(path));
        return File.Exists(run.OptionsFile)
            ? run
            : throw new InputException($"'{run.Path}' is no run: it has no options.json. Give the folder that --output named.");
    }

    /// <summary>Where the result is written: of the trained weights, or of an average by its decay.</summary>
    public string ModelFolder(double? decay) =>
        System.IO.Path.Combine(Path, decay is { } d ? string.Create(CultureInfo.InvariantCulture, $"model-average-{d}") : "model");
}
