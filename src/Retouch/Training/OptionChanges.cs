using System.Text.Json.Nodes;
using Retouch.Core.Formatting;
using Retouch.Core.Json;
using Retouch.Training.Options;
using Retouch.Training.State;

namespace Retouch.Training;

/// <summary>Differences between a run's options and those stored in its checkpoint.</summary>
internal static class OptionChanges
{
    // A larger increase would undo the effect of the decay.
    private const double MostJump = 2;

    // Options that do not affect the trained weights.
    private static readonly string[] Harmless =
    [
        "checkpoints.",
        "samples.",
        "validation.every",
        "validation.timesteps",
        "validation.stop",
        "validation.stop.",
        "log.",
        "data.workers",
        "data.cache",
        "data.maxBadShare",
        "device",
        "distributed.",
        "objective.decodeBatch",
        "steps",
    ];

    /// <summary>Changes, by option path.</summary>
    /// <param name="before">Options stored in the checkpoint.</param>
    /// <param name="now">Options of the resumed run.</param>
    public static IEnumerable<RunChange> Between(JsonObject before, TrainingOptions now) =>
        // Bound again so that options of later versions have their defaults.
        Differences(Written(Bound(before)), Written(now), "")
            .Select(static d => new RunChange(
                $"{d.Path}: {Shown(d.Before)} → {Shown(d.Now)}",
                !Array.Exists(Harmless, h => d.Path == h || (h.EndsWith('.') && d.Path.StartsWith(h, StringComparison.Ordinal)))
            ));

    /// <summary>Effect of a changed schedule on the learning rate, or null.</summary>
    /// <param name="options">Options stored in the checkpoint.</param>
    /// <param name="now">Options of the resumed run.</param>
    /// <param name="step">Completed steps.</param>
    public static string? Rate(JsonObject options, TrainingOptions now, long step)
    {
        if (step == 0 || step >= now.Steps)
            return null;
        var before = Bound(options);
        double Of(TrainingOptions run, long at) =>
            run.Optimiser.BaseRate * run.Optimiser.Schedule.Multiplier(at, run.Steps, run.Optimiser.BaseRate);
        var (last, next) = (Of(before, step - 1), Of(now, step));
        var planned = step < before.Steps ? Of(before, step) : (double?)null;
        if (before == now || planned == next || (planned is null && last == next))
            return null;
        var shape = OptionValue.Of(now.Optimiser.Schedule.ShapeOrDefault);
        var instead = planned is { } p ? $" instead of {p:0.###e+0}" : "";
        var jump =
            next > MostJump * last && last > now.Optimiser.BaseRate / 100 && planned is null
                ? " To continue at the current rate: --accept-changes --set optimiser.schedule.shape=constant "
                    + $"--learning-rate {last:0.##e+0}."
                : "";
        return $"The schedule ({shape}) spans {Figures.Count(now.Steps, "step")}, previously {Figures.Count(before.Steps)}: the learning "
            + $"rate was {last:0.###e+0} in step {step} and is {next:0.###e+0}{instead} in step {step + 1}.{jump}";
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

    private static string Shown(JsonNode? value) => value is null ? "none" : JsonTexts.Shown(value);
}
