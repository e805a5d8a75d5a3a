using System.CommandLine;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Training.Options;

namespace Retouch.Cli.Commands;

/// <summary>Options of verbs that evaluate an objective.</summary>
internal static class ObjectiveFlags
{
    public static readonly Option<string?> Objective = new("--objective")
    {
        Description =
            "latent, lpl, pixel or lpl+pixel (each in addition to the diffusion loss), with default options; dpo or simpo on --pairs, "
            + "alone or combined, as in dpo+lpl (dpo+latent adds the diffusion loss of the winners as an anchor).",
    };
    public static readonly Option<string[]> Values = new("--set")
    {
        Description = "One option by its path, as in --set objective.perceptual.weight=2. Can be repeated.",
        AllowMultipleArgumentsPerToken = false,
    };

    /// <summary>Applies every --set to options in JSON.</summary>
    /// <exception cref="UsageException">An argument is not of the form PATH=VALUE.</exception>
    public static void PutValues(JsonObject json, ParseResult parsed)
    {
        foreach (var pair in parsed.GetValue(Values) ?? [])
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
                throw new UsageException($"--set '{pair}' is not of the form PATH=VALUE, as in --set objective.perceptual.weight=2.");
            OptionsFile.Set(json, pair[..equals], pair[(equals + 1)..]);
        }
    }

    /// <summary>Adds the terms of --objective with their defaults to options in JSON.</summary>
    /// <exception cref="UsageException">A term is unknown, or terms exclude each other.</exception>
    public static void Put(JsonObject json, string objective)
    {
        var parts = objective.ToLowerInvariant().Split('+');
        if (parts.FirstOrDefault(static p => p is not ("latent" or "lpl" or "pixel" or "dpo" or "simpo")) is { } unknown)
            throw new UsageException(
                $"--objective: '{unknown}' is not one of latent, lpl, pixel, dpo, simpo. Join terms by '+', as in lpl+pixel."
            );
        var members = json["objective"] as JsonObject ?? [];
        json["objective"] = members;
        var preferences = parts.Where(static p => p is "dpo" or "simpo").ToArray();
        if (preferences.Length > 1)
            throw new UsageException("--objective: dpo and simpo exclude each other.");
        if (preferences.Length == 0)
            members.Remove("preference");
        else
            OptionsFile.Set(json, "objective.preference.method", JsonValue.Create(preferences[0]));
        if (preferences.Length > 0 && parts.Contains("latent") && members["latentWeight"] is null)
            members["latentWeight"] = 1;
        foreach (var (name, member) in new[] { ("lpl", "perceptual"), ("pixel", "pixel") })
        {
            if (!parts.Contains(name))
                members.Remove(member);
            else if (members[member] is null)
                members[member] = new JsonObject();
        }
    }
}
