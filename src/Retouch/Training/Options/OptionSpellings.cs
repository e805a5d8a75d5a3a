using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Training.Options;

/// <summary>Other spellings of option names and values, replaced before binding, so that resolved options have one spelling.</summary>
internal static class OptionSpellings
{
    // Members of networks' and schedulers' configurations are named by diffusers.
    private const string Foreign = "model";
    private const string Precision = "precision";

    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal)
    {
        ["optimizer"] = "optimiser",
        ["normalization"] = "normalisation",
    };

    /// <summary>The spelling of Retouch of a member's path.</summary>
    /// <param name="path">Member names separated by dots.</param>
    public static string Of(string path) =>
        path.StartsWith(Foreign + ".", StringComparison.Ordinal) ? path : string.Join('.', path.Split('.').Select(NameOf));

    /// <summary>Replaces other spellings in place: of names, and of the compute type (<c>bf16</c>).</summary>
    /// <param name="options">Parsed options.</param>
    /// <param name="origin">Name of the source in messages.</param>
    /// <exception cref="UsageException">A member is given in both spellings.</exception>
    public static void Replace(JsonObject options, string origin)
    {
        Rename(options, "", origin);
        if (options[Precision] is JsonValue value && value.TryGetValue(out string? text) && DTypes.FindPrecision(text) is { } type)
            options[Precision] = type.Name();
    }

    private static string NameOf(string name) => Names.GetValueOrDefault(name, name);

    private static void Rename(JsonObject members, string path, string origin)
    {
        foreach (var (name, value) in members.ToList())
        {
            var now = NameOf(name);
            if (now != name)
            {
                if (members.ContainsKey(now))
                    throw new UsageException($"{origin}: {path}{now} is given twice, also as '{name}'; remove one of them.");
                members.Remove(name);
                members[now] = value;
            }

            if (value is JsonObject inner && !(path.Length == 0 && name == Foreign))
                Rename(inner, $"{path}{now}.", origin);
        }
    }
}
