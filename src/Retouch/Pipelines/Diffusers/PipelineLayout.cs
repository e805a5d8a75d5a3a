using Retouch.Core.Errors;

namespace Retouch.Pipelines.Diffusers;

/// <summary>File layout of a diffusers pipeline.</summary>
public static class PipelineLayout
{
    /// <summary>File with the classes of the pipeline and its components.</summary>
    public const string IndexName = "model_index.json";

    /// <summary>Scheduler file, in the folder <c>scheduler</c>.</summary>
    public const string SchedulerName = "scheduler_config.json";

    private static readonly string[] DenoiserFolders = ["transformer", "unet"];

    /// <summary>Checks that all files of a pipeline exist.</summary>
    /// <param name="folder">Folder of the pipeline.</param>
    /// <returns>Subfolder of the denoiser: <c>transformer</c> or <c>unet</c>.</returns>
    /// <exception cref="InputException">The folder or parts of it are missing; the message lists all missing parts.</exception>
    public static string Check(string folder)
    {
        if (!Directory.Exists(folder))
            throw new InputException($"The folder '{folder}' does not exist.");
        if (!File.Exists(Path.Combine(folder, IndexName)) && File.Exists(Path.Combine(folder, ComponentFolder.ConfigName)))
            throw new InputException(
                $"'{folder}' is a single component. Give the folder of the whole pipeline, which contains {IndexName}."
            );
        var denoiser = DenoiserFolders.FirstOrDefault(name => Directory.Exists(Path.Combine(folder, name)));
        List<string> missing =
        [
            .. ((string[])[IndexName, "vae/config.json", $"scheduler/{SchedulerName}"]).Where(name =>
                !File.Exists(Path.Combine(folder, name))
            ),
        ];
        if (TaesdFolder.Is(Path.Combine(folder, "vae")))
            missing.Remove("vae/config.json");
        if (denoiser is null)
            missing.Add("transformer/ or unet/");
        else if (!File.Exists(Path.Combine(folder, denoiser, ComponentFolder.ConfigName)))
            missing.Add($"{denoiser}/{ComponentFolder.ConfigName}");
        if (missing.Count == 0)
            return denoiser!;
        var present = Directory
            .EnumerateFileSystemEntries(folder)
            .Select(static p => Path.GetFileName(p))
            .Order(StringComparer.Ordinal)
            .Take(20);
        throw new InputException(
            $"'{folder}' is not a complete diffusers pipeline: it lacks {string.Join(", ", missing)}. It contains "
                + $"{string.Join(", ", present.DefaultIfEmpty("nothing"))}."
        );
    }
}
