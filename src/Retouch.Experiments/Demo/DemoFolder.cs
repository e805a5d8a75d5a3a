using Retouch.Core.Errors;
using Retouch.Training.Options;

namespace Retouch.Experiments.Demo;

/// <summary>Layout and state of a demo's folder.</summary>
public sealed class DemoFolder
{
    private DemoFolder(string shown) => (Shown, Path) = (shown, System.IO.Path.GetFullPath(shown));

    /// <summary>Path as given by the user, for commands.</summary>
    public string Shown { get; }

    /// <summary>Absolute path.</summary>
    public string Path { get; }

    /// <summary>Initial pipeline of all arms.</summary>
    public string Base => In("model");

    /// <summary>Held-out reference pictures.</summary>
    public string HeldOut => In("held-out");

    /// <summary>A second set of real pictures, evaluated like samples: the score of a perfect model.</summary>
    public string OtherReal => In("held-out-other");

    /// <summary>The user's training pictures, resized and cropped.</summary>
    public string TrainingPictures => In("training-pictures");

    /// <summary>Encoded training pictures.</summary>
    public string Latents => In("latents");

    private string SettingsFile => In("demo.json");

    /// <summary>Creates the folder of a new demo.</summary>
    /// <exception cref="UsageException">The folder is not empty.</exception>
    public static DemoFolder Create(string path, DemoSettings settings)
    {
        var folder = new DemoFolder(path);
        if (File.Exists(folder.Path) || (Directory.Exists(folder.Path) && Directory.EnumerateFileSystemEntries(folder.Path).Any()))
            throw new UsageException(
                $"'{path}' is not empty. Choose another folder with --output, or continue its demo with --output {path} --resume."
            );
        OptionsFile.Save(settings, folder.SettingsFile);
        return folder;
    }

    /// <summary>Opens the folder of an interrupted or finished demo.</summary>
    /// <exception cref="InputException">The folder has no demo.</exception>
    public static (DemoFolder Folder, DemoSettings Settings) Open(string path)
    {
        var folder = new DemoFolder(path);
        if (!File.Exists(folder.SettingsFile))
            throw new InputException(
                $"'{path}' is not the folder of a demo: demo.json is missing. Give the --output of that demo, or omit --resume."
            );
        return (folder, OptionsFile.Bind<DemoSettings>(OptionsFile.Read(folder.SettingsFile), folder.SettingsFile));
    }

    /// <summary>Path below the folder.</summary>
    public string In(params ReadOnlySpan<string> parts) => System.IO.Path.Combine([Path, .. parts]);

    /// <summary>Run folder of an arm or of a network.</summary>
    public string Run(string kind, string name) => In(kind, name);

    /// <summary>Folder of a model's samples.</summary>
    public string Samples(string key) => In("samples", key);
}
