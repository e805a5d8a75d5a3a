using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;

namespace Retouch.Training.Options;

/// <summary>
/// Normalises options before binding: expands presets of the latent perceptual loss and renames members of earlier versions.
/// </summary>
internal static class OptionForms
{
    private const string Preset = "preset";

    /// <summary>Rewrites all latent perceptual losses of the options in place.</summary>
    /// <param name="options">Parsed options.</param>
    /// <param name="write">Serialises a preset.</param>
    /// <returns>Deprecation notes, one sentence per old name.</returns>
    /// <exception cref="UsageException">Unknown preset.</exception>
    public static IReadOnlyList<string> Renew(JsonObject options, Func<LatentPerceptualOptions, JsonObject> write)
    {
        List<string> old = [];
        if (options["objective"] is not JsonObject objective)
            return old;
        if (objective["pixel"] is JsonObject pixel)
            Weight(pixel, "objective.pixel", old);
        Perceptual(objective, "perceptual", "objective.perceptual", old, write);
        if (objective["preference"] is JsonObject preference)
            Perceptual(preference, "features", "objective.preference.features", old, write);
        return old;
    }

    private static void Perceptual(
        JsonObject parent,
        string member,
        string path,
        List<string> old,
        Func<LatentPerceptualOptions, JsonObject> write
    )
    {
        if (parent[member] is JsonValue word && word.TryGetValue(out string? name))
            parent[member] = new JsonObject { [Preset] = name };
        if (parent[member] is not JsonObject loss)
            return;
        Weight(loss, path, old);
        Statistics(loss, path, old);
        if (loss[Preset] is not { } preset)
            return;
        var known = LatentPerceptualPresets.ByName;
        if (preset is not JsonValue value || !value.TryGetValue(out string? chosen) || !known.TryGetValue(chosen, out var base_))
            throw new UsageException($"{path}.preset is {preset.ToJsonString()}; known: {string.Join(", ", known.Keys)}.");
        var whole = write(base_);
        foreach (var (key, given) in loss)
        {
            if (key != Preset)
                whole[key] = given?.DeepClone();
        }

        parent[member] = whole;
    }

    /// <summary>Replaces <c>autoShare</c> and <c>autoWarmUp</c> by members of the weight.</summary>
    private static void Weight(JsonObject term, string path, List<string> old)
    {
        foreach (var (before, now) in new[] { ("autoShare", "share"), ("autoWarmUp", "warmUp") })
        {
            if (!term.TryGetPropertyValue(before, out var value))
                continue;
            term.Remove(before);
            if (term["weight"] is JsonValue auto && auto.TryGetValue(out string? text) && text == "auto")
                term["weight"] = new JsonObject { ["share"] = TermWeight.DefaultShare, ["warmUp"] = TermWeight.AutoWarmUp };
            if (term["weight"] is not JsonObject weight)
                throw new UsageException(
                    $"{path}.{before} requires a measured weight; write it as {path}.weight: {{\"share\": 0.2, \"warmUp\": 100}}."
                );
            weight[now] = value;
            old.Add($"{path}.{before} is an old name; it is now {path}.weight.{now}");
        }
    }

    /// <summary>Splits the former normalisation option into normalisation and statistics.</summary>
    private static void Statistics(JsonObject loss, string path, List<string> old)
    {
        if (loss["normalisation"] is JsonValue value && value.TryGetValue(out string? name))
        {
            (string Normalisation, string Statistics)? now = name switch
            {
                "shared" => ("standardise", "estimate"),
                "separate" => ("standardise", "own"),
                "channel-norm-shared" => ("channel-norm", "target"),
                _ => null,
            };
            if (now is var (normalisation, statistics))
            {
                (loss["normalisation"], loss["statistics"]) = (normalisation, statistics);
                // Earlier versions had no variance floor.
                if (normalisation == "standardise")
                    loss["varianceFloor"] ??= 0;
                // Earlier versions propagated the gradient through the statistics by default.
                if (statistics != "target" && !loss.ContainsKey("detachStatistics"))
                    loss["statisticsGradient"] ??= 1;
                old.Add(
                    $"{path}.normalisation \"{name}\" is an old name; "
                        + $"it is now normalisation \"{normalisation}\" with statistics \"{statistics}\""
                );
            }
        }

        if (!loss.TryGetPropertyValue("detachStatistics", out var detach))
            return;
        loss.Remove("detachStatistics");
        var without = loss["normalisation"]?.ToString() is "none" || loss["statistics"]?.ToString() is "target";
        if (detach is JsonValue flag && flag.TryGetValue(out bool detached) && !without)
            loss["statisticsGradient"] = detached ? 0 : 1;
        old.Add($"{path}.detachStatistics is an old name; it is now {path}.statisticsGradient, 0 or 1");
    }
}
