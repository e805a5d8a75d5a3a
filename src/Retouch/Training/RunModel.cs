using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Training.State;

namespace Retouch.Training;

/// <summary>The model of a training run, where a model is wanted and the run's folder is given.</summary>
public static class RunModel
{
    /// <summary>The run's only weight average, else its last weights; other folders are returned unchanged.</summary>
    /// <param name="folder">Folder of a model or of a run.</param>
    /// <param name="note">Receives the choice.</param>
    /// <exception cref="InputException">The run has no finished model; the message names its newest checkpoint.</exception>
    public static string Of(string folder, Action<string> note)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(note);
        var isModel =
            File.Exists(Path.Combine(folder, ComponentFolder.ConfigName))
            || File.Exists(Path.Combine(folder, PipelineLayout.IndexName))
            || !IsRun(folder);
        if (isModel)
            return folder;
        var averages = Directory.GetDirectories(folder, "model-average-*");
        var last = Path.Combine(folder, "model");
        var chosen =
            averages.Length == 1 ? averages[0]
            : Directory.Exists(last) ? last
            : throw new InputException($"The run '{folder}' has no finished model{NewestOf(folder)}.");
        note($"'{folder}' is a run; using {Path.GetFileName(chosen)}.");
        return chosen;
    }

    private static bool IsRun(string folder) =>
        File.Exists(Path.Combine(folder, "options.json"))
        && (File.Exists(Path.Combine(folder, "inputs.json")) || File.Exists(Path.Combine(folder, "metrics.jsonl")));

    private static string NewestOf(string folder)
    {
        var store = new CheckpointStore(folder);
        return store.Steps is [.., var step]
            ? $"; its newest checkpoint is '{store.FolderOf(step)}'. Finish it with 'retouch train --resume {folder}', "
                + "if necessary with fewer --steps"
            : ", and no checkpoint. Finish it with 'retouch train --resume " + folder + "'";
    }
}
