using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.Lora;

/// <summary>
/// Adapter metadata of a file: diffusers' <c>lora_adapter_metadata</c> in the header (since 0.34), peft's <c>adapter_config.json</c> beside
/// the file, or single header members (<c>lora_alpha</c>, sd-scripts' <c>ss_network_alpha</c>).
/// </summary>
internal sealed class StatedAdapters
{
    private const string Header = "lora_adapter_metadata";
    private const string PeftConfig = "adapter_config.json";

    private static readonly string[] Alphas = ["lora_alpha", "network_alpha", "ss_network_alpha", "alpha"];
    private static readonly string[] Ranks = ["r", "rank", "network_dim", "ss_network_dim"];

    private readonly double? _alpha;
    private readonly double? _convolutionAlpha;
    private readonly double? _rank;
    private readonly Pattern[] _alphas = [];
    private readonly Pattern[] _ranks = [];
    private readonly bool _rankStabilised;

    private StatedAdapters(string where, double? alpha, double? rank, double? convolutionAlpha = null) =>
        (Where, _alpha, _rank, _convolutionAlpha) = (where, alpha, rank, convolutionAlpha);

    private StatedAdapters(string where, JsonMembers members, JsonObject json)
    {
        Where = where;
        if (members.Boolean("use_dora", false))
            throw new InputException(
                $"{where} declares DoRA adapters (use_dora), which are not supported; merge them with the library that created them."
            );
        if (json["peft_type"] is not null && members.Text("peft_type") is var type && type != "LORA")
            throw new InputException($"{where} declares {type} adapters (peft_type); only LORA is supported.");
        (_alpha, _rank) = (
            json["lora_alpha"] is null ? null : members.Number("lora_alpha"),
            json["r"] is null ? null : members.Number("r")
        );
        (_alphas, _ranks) = (Patterns(json, members, "alpha_pattern"), Patterns(json, members, "rank_pattern"));
        _rankStabilised = members.Boolean("use_rslora", false);
    }

    /// <summary>Whether the source is a single header member, which few programs read.</summary>
    public bool IsSingle { get; private init; }

    /// <summary>Source of the metadata, for messages.</summary>
    public string Where { get; }

    /// <summary>Reads the metadata for a network, or null.</summary>
    /// <param name="file">The file.</param>
    /// <param name="components">Names of the network in pipelines, such as <c>unet</c>.</param>
    /// <exception cref="InputException">The metadata is invalid, or for another kind of adapters.</exception>
    public static StatedAdapters? Read(ITensorFile file, IReadOnlyList<string> components)
    {
        var header = (file as SafetensorsFile)?.Metadata ?? new Dictionary<string, string>(StringComparer.Ordinal);
        if (header.TryGetValue(Header, out var text))
        {
            var where = $"{Header} in the header of '{file.FilePath}'";
            return JsonTexts.Object(text, where) is var json && Part(json, components) is { Count: > 0 } part
                ? new(where, new JsonMembers(part, where), part)
                : null;
        }

        var beside = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(file.FilePath))!, PeftConfig);
        if (Path.GetFileNameWithoutExtension(file.FilePath) == "adapter_model" && File.Exists(beside))
        {
            var config = JsonTexts.Object(Core.Io.PlainText.Read(beside), $"'{beside}'");
            return new($"'{beside}'", new JsonMembers(config, beside), config);
        }

        return Single(header, file.FilePath);
    }

    /// <summary>alpha such that alpha/rank is the stated scale, or null.</summary>
    /// <param name="path">Path of the layer.</param>
    /// <param name="rank">Rank of its tensors.</param>
    /// <param name="isConvolution">Whether its kernel is larger than 1.</param>
    public double? AlphaFor(string path, long rank, bool isConvolution)
    {
        var alpha = Find(_alphas, path) ?? (isConvolution ? _convolutionAlpha : null) ?? _alpha;
        return _rankStabilised ? alpha * Math.Sqrt(rank) : alpha;
    }

    /// <summary>Stated rank of a layer, or null.</summary>
    public double? RankOf(string path) => Find(_ranks, path) ?? (_convolutionAlpha is null ? _rank : null);

    private static StatedAdapters? Single(IReadOnlyDictionary<string, string> header, string path)
    {
        var alpha = Alphas.Select(name => (Name: name, Value: Number(header, name))).FirstOrDefault(static a => a.Value is not null);
        if (alpha.Value is not { } value)
            return null;
        double? convolution = null;
        if (header.TryGetValue("ss_network_args", out var text))
        {
            var arguments = JsonTexts.Object(text, $"ss_network_args in the header of '{path}'");
            convolution =
                arguments["conv_alpha"] is { } given && double.TryParse(given.ToString(), CultureInfo.InvariantCulture, out var x)
                    ? x
                    : null;
        }

        var rank = Ranks.Select(name => Number(header, name)).FirstOrDefault(static r => r is not null);
        return new($"{alpha.Name} in the header of '{path}'", value, rank, convolution) { IsSingle = true };
    }

    private static double? Number(IReadOnlyDictionary<string, string> header, string name) =>
        header.TryGetValue(name, out var text)
        && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var x)
        && double.IsFinite(x)
            ? x
            : null;

    /// <summary>Members for one network: those with its prefix, or all if no member has a prefix.</summary>
    private static JsonObject Part(JsonObject json, IReadOnlyList<string> components)
    {
        foreach (var component in components)
        {
            var own = json.Where(p => p.Key.StartsWith(component + ".", StringComparison.Ordinal)).ToArray();
            if (own.Length > 0)
                return new(own.Select(p => KeyValuePair.Create(p.Key[(component.Length + 1)..], p.Value?.DeepClone())));
        }

        return json.ContainsKey("lora_alpha") || json.ContainsKey("r") ? json : [];
    }

    private static Pattern[] Patterns(JsonObject json, JsonMembers members, string name) =>
        json[name] switch
        {
            null => [],
            JsonObject patterns =>
            [
                .. patterns.Select(p => new Pattern(
                    Compile(p.Key, members, name),
                    new JsonMembers(patterns, $"{members.Origin}: {name}").Number(p.Key)
                )),
            ],
            _ => throw members.Wrong(name, "an object from patterns to numbers"),
        };

    // peft's keys are regular expressions on path suffixes. Without backtracking, untrusted patterns run in linear time.
    private static Regex Compile(string pattern, JsonMembers members, string name)
    {
        try
        {
            return new Regex($"^(?:.*\\.)?(?:{pattern})$", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw new InputException($"{members.Origin}: '{pattern}' in {name} is not a supported regular expression.", e);
        }
    }

    private static double? Find(Pattern[] patterns, string path) => Array.Find(patterns, p => p.Path.IsMatch(path))?.Value;

    private sealed record Pattern(Regex Path, double Value);
}
