using System.Text.Json.Nodes;
using Retouch.Core.Formatting;
using Retouch.Training.Options;
using Retouch.Training.State;

namespace Retouch.Training;

/// <summary>What is other in a run's options than when its checkpoint was written.</summary>
internal static class OptionChanges
{
    // A rate that rises more than this undoes what its fall had settled.
    private const double MostJump = 2;

    // What the weights that come out do not depend on.
    private static readonly string[] Harmless =
    [
        "checkpoints.",
        "samples.",
        "log.",
        "data.workers",
        "data.cache",
        "data.maxBadShare",
        "device",
        "objective.decodeBatch",
        "steps",
    ];

    /// <summary>The changes, by the path of each option.</summary>
    /// <param name="before">The options that the checkpoint holds.</param>
    /// <param name="now">Those to go on with.</param>
    public static IEnumerable<RunChange> Between(JsonObject before, TrainingOptions now) =>
        // Bound once more: what an earlier version did not have yet stands at its default then.
        Differences(Written(Bound(before)), Written(now), "")
            .Select(static d => new RunChange(
                $"{d.Path}: {Shown(d.Before)} → {Shown(d.Now)}",
                !Array.Exists(Harmless, h => d.Path == h || (h.EndsWith('.') && d.Path.StartsWith(h, StringComparison.Ordinal)))
            ));

    /// <summary>What follows for the learning rate where its schedule changes; null where nothing does.</summary>
    /// <param name="options">Those that the checkpoint holds.</param>
    /// <param name="now">Those to go on with.</param>
    /// <param name="step">Steps done.</param>
    public static string? Rate(JsonObject options, TrainingOptions now, long step)
    {
        if (step == 0 || step >= now.Steps)
            return null;
        var before = Bound(options);
        double Of(TrainingOptions run, long at) =>
            run.Optimiser.LearningRate * run.Optimiser.Schedule.Multiplier(at, run.Steps, run.Optimiser.LearningRate);
        var (last, next) = (Of(before, step - 1), Of(now, step));
        var planned = step < before.Steps ? Of(before, step) : (double?)null;
        if (before == now || planned == next || (planned is null && last == next))
            return null;
        var shape = OptionNames.Written(now.Optimiser.Schedule.Shape);
        var instead = planned is { } p ? $" instead of {p:0.###e+0}" : "";
        var jump =
            next > MostJump * last && planned is null
                ? $" To go on at the rate that was reached: --accept-changes --set optimiser.schedule.shape=constant --learning-rate {last:0.##e+0}."
                : "";
        return $"The schedule ({shape}) spans {Figures.Count(now.Steps)} steps, before {Figures.Count(before.Steps)}: the learning rate was "
            + $"{last:0.###e+0} in step {step} and is {next:0.###e+0}{instead} in step {step + 1}.{jump}";
    }

    private static TrainingOptions Bound(JsonObject options) => OptionsFile.Bind<TrainingOptions>(options, "The checkpoint's options");

    private static JsonObject Written(TrainingOptions options) => JsonNode.Parse(OptionsFile.Write(options))!.AsObject();

    private static IEnumerable<(string Path, JsonNode? Before, JsonNode? Now)> Differences(JsonNode? before, JsonNode? now, string path)
    {
        if (before is not JsonObject a || now is not JsonObject b)
            return JsonNode.DeepEquals(before, now) ? [] : [(path, before, now)];
        return a.Select(static p => p.Key)
            .Union(b.Select(static p => p.Key), StringComparer.Ordinal)
            .SelectMany(name => Differences(a[name], b[name], path.Length == 0 ? name : $"{path}.{name}"));
    }

    private static string Shown(JsonNode? value) => value is null ? "none" : Excerpt.Of(value.ToJsonString(), 60);
}
