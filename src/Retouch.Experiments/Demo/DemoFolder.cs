using Retouch.Core.Errors;
using Retouch.Training.Options;

namespace Retouch.Experiments.Demo;

/// <summary>The folder of a demo: which part lies where, and which are done.</summary>
public sealed class DemoFolder
{
    private DemoFolder(string shown) => (Shown, Path) = (shown, System.IO.Path.GetFullPath(shown));

    /// <summary>As the user wrote it, for commands to copy.</summary>
    public string Shown { get; }

    /// <summary>The absolute path.</summary>
    public string Path { get; }

    /// <summary>The pipeline that every arm starts from.</summary>
    public string Base => In("model");

    /// <summary>The real pictures that samples are measured against; never trained on.</summary>
    public string HeldOut => In("held-out");

    /// <summary>As many more real pictures, measured like samples: what a perfect model would score.</summary>
    public string OtherReal => In("held-out-other");

    /// <summary>The user's pictures to train on, framed.</summary>
    public string TrainingPictures => In("training-pictures");

    /// <summary>What the autoencoder makes of the pictures to train on.</summary>
    public string Latents => In("latents");

    private string SettingsFile => In("demo.json");

    /// <summary>Starts a new demo.</summary>
    /// <exception cref="UsageException">The folder holds something already.</exception>
    public static DemoFolder Create(string path, DemoSettings settings)
    {
        var folder = new DemoFolder(path);
        if (File.Exists(folder.Path) || (Directory.Exists(folder.Path) && Directory.EnumerateFileSystemEntries(folder.Path).Any()))
            throw new UsageException(
                $"'{path}' is not empty. Choose another folder with --output, or continue the demo in it by --output {path} --resume."
            );
        OptionsFile.Save(settings, folder.SettingsFile);
        return folder;
    }

    /// <summary>Opens a demo that was interrupted, or finished.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public static (DemoFolder Folder, DemoSettings Settings) Open(string path)
    {
        var folder = new DemoFolder(path);
        if (!File.Exists(folder.SettingsFile))
            throw new InputException(
                $"'{path}' holds no demo: it has no demo.json. Give the folder that --output named, or start anew without --resume."
            );
        return (folder, OptionsFile.Bind<DemoSettings>(OptionsFile.Read(folder.SettingsFile), folder.SettingsFile));
    }

    /// <summary>A path below the folder.</summary>
    public string In(params ReadOnlySpan<string> parts) => System.IO.Path.Combine([Path, .. parts]);

    /// <summary>The run of an arm, or of a network's training.</summary>
    public string Run(string kind, string name) => In(kind, name);

    /// <summary>The pictures drawn from a model.</summary>
    public string Samples(string key) => In("samples", key);
}
