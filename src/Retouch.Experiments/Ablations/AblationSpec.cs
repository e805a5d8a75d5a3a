using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Training.Options;

namespace Retouch.Experiments.Ablations;

/// <summary>Specification of an ablation: a JSON file (comments are allowed, unknown members are errors).</summary>
public sealed record AblationSpec
{
    /// <summary>Title of the report.</summary>
    public string Title { get; init; } = "Ablation";

    /// <summary>Introduction of the report: question and prior results.</summary>
    public IReadOnlyList<string> About { get; init; } = [];

    /// <summary>File of training options shared by all arms, relative to this file.</summary>
    public string? Base { get; init; }

    /// <summary>Training options shared by all arms; override base.</summary>
    public JsonObject Options { get; init; } = [];

    /// <summary>Arms by name.</summary>
    public IReadOnlyList<ArmSpec> Arms { get; init; } = [];

    /// <summary>Option paths with lists of values: every combination is an arm. The path 'from' selects the pre-training.</summary>
    public JsonObject Axes { get; init; } = [];

    /// <summary>Default comparison arm; default: the first.</summary>
    public string? Baseline { get; init; }

    /// <summary>Training seeds; each arm is trained once per seed.</summary>
    public IReadOnlyList<ulong> Seeds { get; init; } = [1, 2, 3];

    /// <summary>Pre-trainings by name; each is done once. A single one is the start of all arms.</summary>
    public IReadOnlyDictionary<string, PretrainingSpec> Pretraining { get; init; } = new Dictionary<string, PretrainingSpec>();

    /// <summary>Reference pictures.</summary>
    public HeldOutSpec HeldOut { get; init; } = new();

    /// <summary>Evaluation of the arms; changes require no new training.</summary>
    public AblationEvaluation Evaluation { get; init; } = new();

    private static readonly string[] Networks = ["inception", "squeezeNet", "retouchFeatures", "clip"];

    /// <summary>Reads a file and merges the options of the command line.</summary>
    /// <param name="path">Path of the file.</param>
    /// <param name="set">PATH=VALUE pairs that override members of the specification.</param>
    /// <exception cref="UsageException">A member is unknown or has the wrong type.</exception>
    public static AblationSpec Read(string path, IEnumerable<string> set)
    {
        var json = OptionsFile.Read(path);
        json.Remove("$schema");
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        // Paths of networks in the file are relative to the file, like its base; those of the command line to the current folder.
        foreach (var network in Networks)
        {
            if (
                json["evaluation"] is JsonObject evaluation
                && evaluation[network] is JsonValue value
                && value.TryGetValue(out string? given)
                && !Path.IsPathRooted(given)
                && Path.Exists(Path.Combine(folder, given))
            )
                evaluation[network] = Path.GetFullPath(Path.Combine(folder, given));
        }

        foreach (var pair in set)
            SetPair(json, pair, "--set-spec");
        var spec = OptionsFile.Bind<AblationSpec>(json, path, "'retouch ablate --schema' lists all members.");
        if (spec.Base is { } file)
        {
            var options = OptionsFile.Read(Path.Combine(folder, file));
            Lay(spec.Options, options);
            spec = spec with { Base = null, Options = options };
        }

        return spec;
    }

    /// <summary>Parses PATH=VALUE and sets the member.</summary>
    /// <exception cref="UsageException">The '=' is missing.</exception>
    public static void SetPair(JsonObject json, string pair, string option)
    {
        var equals = pair.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0)
            throw new UsageException($"{option} '{pair}' is not of the form PATH=VALUE.");
        OptionsFile.Set(json, pair[..equals], pair[(equals + 1)..]);
    }

    /// <summary>Merges options into others: objects by member, other values as a whole.</summary>
    public static void Lay(JsonObject over, JsonObject under)
    {
        foreach (var (name, value) in over)
        {
            if (value is JsonObject inner && under[name] is JsonObject lower)
                Lay(inner, lower);
            else
                under[name] = value?.DeepClone();
        }
    }

    /// <summary>Checks that do not depend on the training options.</summary>
    /// <exception cref="UsageException">Lists all problems.</exception>
    public void Validate()
    {
        var check = Requirements.OfFile();
        check.That(Arms.Count > 0 || Axes.Count > 0, "arms and axes are empty; give at least one");
        check.That(Seeds.Count > 0, nameof(Seeds), "is empty; give at least one");
        check.That(Seeds.Distinct().Count() == Seeds.Count, nameof(Seeds), "must be unique");
        foreach (var (path, values) in Axes)
            check.That(
                values is JsonArray { Count: > 0 },
                $"axes.{path} is {JsonTexts.Shown(values)}; it must be a non-empty list of values"
            );
        foreach (var (name, pretraining) in Pretraining)
            check.That(
                pretraining.From is null || (pretraining.From != name && Pretraining.ContainsKey(pretraining.From)),
                $"pretraining.{name}.from is '{pretraining.From}', which is not another pre-training"
            );
        check.That(!Pretraining.Keys.Any(Circles), "pretraining: circular from");
        check.Under(nameof(HeldOut)).Members(HeldOut);
        check.That(
            HeldOut.Folder is null || HeldOut.Every == new HeldOutSpec().Every,
            "heldOut.every splits data.folder and has no effect with heldOut.folder"
        );
        Evaluation.Validate(check.Under(nameof(Evaluation)));
        check.Throw("Invalid ablation");
    }

    private bool Circles(string name)
    {
        var at = name;
        for (var k = 0; k <= Pretraining.Count && at is not null; k++)
            at = Pretraining.GetValueOrDefault(at)?.From;
        return at is not null;
    }
}

/// <summary>Arm.</summary>
public sealed record ArmSpec
{
    /// <summary>Name in tables.</summary>
    public string Name { get; init; } = "";

    /// <summary>Option paths and their values, as in "objective.perceptual.threshold": 6.</summary>
    public JsonObject Set { get; init; } = [];

    /// <summary>Pre-training of the initial model; default: the only one.</summary>
    public string? From { get; init; }

    /// <summary>Comparison arm; default: the baseline.</summary>
    public string? Against { get; init; }
}

/// <summary>Pre-training.</summary>
public sealed record PretrainingSpec
{
    /// <summary>Training options; override the shared options.</summary>
    public JsonObject Options { get; init; } = [];

    /// <summary>Pre-training of the initial model.</summary>
    public string? From { get; init; }
}

/// <summary>Reference pictures.</summary>
public sealed record HeldOutSpec
{
    /// <summary>Folder of pictures not used in training; by default data.folder is split, or test scenes are rendered.</summary>
    public string? Folder { get; init; }

    /// <summary>One in this many pictures of data.folder is held out.</summary>
    [Bounds(AtLeast = 2, AtMost = 1000)]
    public int Every { get; init; } = 10;
}
