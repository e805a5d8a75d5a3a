using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Training;

/// <summary>Folder of a run: options, metrics, events, checkpoints, samples, models, quarantine.</summary>
public sealed class RunFolder
{
    private RunFolder(string path) => Path = path;

    /// <summary>Absolute path.</summary>
    public string Path { get; }

    /// <summary>Name of <see cref="OptionsFile"/>.</summary>
    public const string OptionsName = "options.json";

    /// <summary>Resolved options.</summary>
    public string OptionsFile => System.IO.Path.Combine(Path, OptionsName);

    /// <summary>Metrics, one JSON object per step.</summary>
    public string MetricsFile => System.IO.Path.Combine(Path, "metrics.jsonl");

    /// <summary>Notes of the run, each with its time.</summary>
    public string LogFile => System.IO.Path.Combine(Path, "log.txt");

    /// <summary>Pictures in quarantine, with reasons.</summary>
    public string QuarantineFile => System.IO.Path.Combine(Path, "quarantine.jsonl");

    /// <summary>Precomputed errors of a preference's reference model, unless a cache folder is given.</summary>
    public string ReferenceFolder => System.IO.Path.Combine(Path, "reference");

    /// <summary>Drawn prior pictures, unless a folder is given.</summary>
    public string PriorFolder => System.IO.Path.Combine(Path, "prior");

    /// <summary>Inputs of the run besides its options, as of the last training.</summary>
    public string InputsFile => System.IO.Path.Combine(Path, "inputs.json");

    /// <summary>Names of the samples that the run holds out from its data.</summary>
    public string HeldOutFile => System.IO.Path.Combine(Path, "held-out.json");

    /// <summary>Sample grids.</summary>
    public string SamplesFolder => System.IO.Path.Combine(Path, "samples");

    /// <summary>Path of a new run; the folder is created by <see cref="Create"/> after all checks have passed.</summary>
    /// <exception cref="UsageException">The folder is not empty; nothing is overwritten.</exception>
    public static RunFolder Plan(string path)
    {
        var full = System.IO.Path.GetFullPath(path);
        if (File.Exists(full) || (Directory.Exists(full) && Directory.EnumerateFileSystemEntries(full).Any()))
            throw new UsageException(
                $"The run folder '{full}' is not empty. Choose another with --output, or resume its run with --resume {path}."
            );
        return new RunFolder(full);
    }

    /// <summary>Path of a new run that another process creates.</summary>
    internal static RunFolder OfOther(string path) => new(System.IO.Path.GetFullPath(path));

    /// <summary>Creates the folder.</summary>
    /// <exception cref="EnvironmentException">The folder cannot be created.</exception>
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
    /// Locks the folder against other processes until the result is disposed; the lock of a killed process is released by the system.
    /// </summary>
    /// <exception cref="UsageException">Another process holds the lock.</exception>
    /// <exception cref="EnvironmentException">The folder is not writable.</exception>
    public IDisposable Lock()
    {
        const int WouldBlock = 11; // EAGAIN: .NET's error code for a held lock
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
                $"Cannot write to the run folder '{Path}': {Reasons.Of(e)}. Free disk space or fix its permissions.",
                e
            );
        }
    }

    /// <summary>Opens an existing run.</summary>
    /// <exception cref="InputException">The folder is not a run.</exception>
    public static RunFolder Open(string path)
    {
        var run = new RunFolder(System.IO.Path.GetFullPath(path));
        return File.Exists(run.OptionsFile)
            ? run
            : throw new InputException($"'{run.Path}' is not a run: it has no options.json. Give the folder passed to --output.");
    }

    /// <summary>Folder of a result: of the trained weights (null), or of the weight average with this decay.</summary>
    public string ModelFolder(double? decay) =>
        System.IO.Path.Combine(Path, decay is { } d ? string.Create(CultureInfo.InvariantCulture, $"model-average-{d}") : "model");
}
