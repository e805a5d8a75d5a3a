using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Scenes;
using Retouch.Experiments.Demo;
using Retouch.Experiments.Phases;
using Retouch.Experiments.Sampling;

namespace Retouch.Experiments.Ablations;

/// <summary>
/// Writes the reference pictures of the arms and, if they are split from the user's folder, the remaining ones for training.
/// </summary>
internal static class AblationPictures
{
    private const int Fewest = 20;

    /// <summary>Whether the pictures exist.</summary>
    public static bool IsWhole(PlannedData data, AblationFolder folder) =>
        SampledFolder.IsWhole(folder.HeldOut(data)) && (!data.Splits || SampledFolder.IsWhole(folder.Train(data)));

    /// <summary>Writes missing pictures.</summary>
    public static void Prepare(PlannedData data, AblationFolder folder, PhaseConsole console)
    {
        console.Heading($"Writing the reference pictures, {data.Size} pixels");
        if (data.Folder is null && data.HeldOut is null)
        {
            var scenes = new ProceduralScenes(data.SceneSeed, data.Size, data.References, SceneSplit.Test);
            DemoPictures.Write(folder.HeldOut(data), scenes, [.. Enumerable.Range(0, data.References)], data.Size, console);
            return;
        }

        var source = ImageFolder.Open(data.HeldOut ?? data.Folder!);
        if (!data.Splits)
        {
            DemoPictures.Write(
                folder.HeldOut(data),
                source,
                DemoPictures.Spread([.. Enumerable.Range(0, source.Count)], data.References),
                data.Size,
                console
            );
            return;
        }

        if (source.Count < Fewest)
            throw new InputException(
                $"'{data.Folder}' has {source.Count} pictures; at least {Fewest} are needed for training and evaluation."
            );
        int[] all = [.. Enumerable.Range(0, source.Count)];
        bool IsHeld(int k) => k % data.Every == data.Every - 1;
        DemoPictures.Write(folder.HeldOut(data), source, DemoPictures.Spread([.. all.Where(IsHeld)], data.References), data.Size, console);
        DemoPictures.Write(folder.Train(data), source, [.. all.Where(k => !IsHeld(k))], data.Size, console);
    }
}
