using Retouch.Core.Errors;

namespace Retouch.Pipelines.Diffusers;

/// <summary>Where a pipeline's files are, as diffusers puts them.</summary>
public static class PipelineLayout
{
    /// <summary>The file that names the pipeline's class and its components'.</summary>
    public const string IndexName = "model_index.json";

    /// <summary>The scheduler's file, in the folder <c>scheduler</c>.</summary>
    public const string SchedulerName = "scheduler_config.json";

    private static readonly string[] DenoiserFolders = ["transformer", "unet"];

    /// <summary>Looks whether everything is there that a pipeline is read from.</summary>
    /// <param name="folder">The pipeline's folder.</param>
    /// <returns>The denoiser's folder in it: <c>transformer</c> or <c>unet</c>.</returns>
    /// <exception cref="InputException">The folder or parts of it are missing; all that is missing is named at once.</exception>
    public static string Check(string folder)
    {
        if (!Directory.Exists(folder))
            throw new InputException($"There is no folder '{folder}'.");
        if (!File.Exists(Path.Combine(folder, IndexName)) && File.Exists(Path.Combine(folder, ComponentFolder.ConfigName)))
            throw new InputException(
                $"'{folder}' holds a single component. Give the folder of the whole pipeline, the one with {IndexName}."
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
            $"'{folder}' is no complete diffusers pipeline: it lacks {string.Join(", ", missing)}. It holds "
                + $"{string.Join(", ", present.DefaultIfEmpty("nothing"))}."
        );
    }
}
