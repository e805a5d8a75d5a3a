using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;

namespace Retouch.Training.Options;

/// <summary>
/// Normalises options before binding: expands presets of the latent perceptual loss and renames members of earlier versions.
/// </summary>
internal sealed class OptionForms
{
    private const string Preset = "preset";
    private readonly string _origin;
    private readonly List<string> _old = [];

    private OptionForms(string origin) => _origin = origin;

    /// <summary>Rewrites all latent perceptual losses of the options in place.</summary>
    /// <param name="options">Parsed options.</param>
    /// <param name="origin">Name of the source in messages.</param>
    /// <returns>Deprecation notes, one sentence per old name.</returns>
    /// <exception cref="UsageException">Unknown preset, or a wrong value of an old name.</exception>
    public static IReadOnlyList<string> Renew(JsonObject options, string origin)
    {
        var forms = new OptionForms(origin);
        if (options["objective"] is not JsonObject objective)
            return forms._old;
        if (objective["pixel"] is JsonObject pixel)
            forms.Weight(pixel, "objective.pixel");
        forms.Perceptual(objective, "perceptual", "objective.perceptual");
        if (objective["preference"] is JsonObject preference)
            forms.Perceptual(preference, "features", "objective.preference.features");
        return forms._old;
    }

    private void Perceptual(JsonObject parent, string member, string path)
    {
        var place = path;
        if (parent[member] is JsonValue word && word.GetValueKind() == JsonValueKind.String)
            parent[member] = new JsonObject { [Preset] = word.DeepClone() };
        else
            place += "." + Preset;
        if (parent[member] is not JsonObject loss)
            return;
        Weight(loss, path);
        Statistics(loss, path);
        if (loss[Preset] is not { } preset)
            return;
        var known = LatentPerceptualPresets.ByName;
        if (
            preset is not JsonValue value
            || !value.TryGetValue(out string? chosen)
            || !known.TryGetValue(chosen.ToLowerInvariant(), out var base_)
        )
            throw Wrong(place, preset, $"one of {string.Join(", ", known.Keys)}");
        var whole = (JsonObject)JsonSerializer.SerializeToNode(base_, JsonStyles.Options)!;
        foreach (var (key, given) in loss)
        {
            if (key != Preset)
                whole[key] = given?.DeepClone();
        }

        parent[member] = whole;
    }

    private UsageException Wrong(string path, JsonNode? found, string expected) =>
        new($"{_origin}: {path} is {JsonTexts.Shown(found)}; {expected} is expected.");

    /// <summary>Replaces <c>autoShare</c> and <c>autoWarmUp</c> by members of the weight.</summary>
    private void Weight(JsonObject term, string path)
    {
        foreach (var (before, now) in new[] { ("autoShare", "share"), ("autoWarmUp", "warmUp") })
        {
            if (!term.TryGetPropertyValue(before, out var value))
                continue;
            if (value?.GetValueKind() != JsonValueKind.Number)
                throw Wrong($"{path}.{before}", value, "a number");
            term.Remove(before);
            if (term["weight"] is JsonValue auto && auto.TryGetValue(out string? text) && text == "auto")
                term["weight"] = new JsonObject { ["share"] = TermWeight.DefaultShare, ["warmUp"] = TermWeight.AutoWarmUp };
            if (term["weight"] is not JsonObject weight)
                throw new UsageException(
                    $"{_origin}: {path}.{before} requires a measured weight; write it as {path}.weight: "
                        + "{\"share\": 0.2, \"warmUp\": 100}."
                );
            weight[now] = value;
            _old.Add($"{path}.{before} is an old name; it is now {path}.weight.{now}");
        }
    }

    /// <summary>Splits the former normalisation option into normalisation and statistics.</summary>
    private void Statistics(JsonObject loss, string path)
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
                _old.Add(
                    $"{path}.normalisation \"{name}\" is an old name; "
                        + $"it is now normalisation \"{normalisation}\" with statistics \"{statistics}\""
                );
            }
        }

        if (!loss.TryGetPropertyValue("detachStatistics", out var detach))
            return;
        if (detach is not JsonValue flag || !flag.TryGetValue(out bool detached))
            throw Wrong($"{path}.detachStatistics", detach, "true or false");
        loss.Remove("detachStatistics");
        var without = loss["normalisation"]?.ToString() is "none" || loss["statistics"]?.ToString() is "target";
        if (!without)
            loss["statisticsGradient"] = detached ? 0 : 1;
        _old.Add($"{path}.detachStatistics is an old name; it is now {path}.statisticsGradient, 0 or 1");
    }
}
