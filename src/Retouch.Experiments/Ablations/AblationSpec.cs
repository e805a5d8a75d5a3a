using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Training.Options;

namespace Retouch.Experiments.Ablations;

/// <summary>What is to be compared: a JSON file (comments allowed, unknown members refused).</summary>
public sealed record AblationSpec
{
    /// <summary>The report's title.</summary>
    public string Title { get; init; } = "Ablation";

    /// <summary>Paragraphs of the report: what is asked, what others found.</summary>
    public IReadOnlyList<string> About { get; init; } = [];

    /// <summary>A file of training options that all arms share, relative to this file.</summary>
    public string? Base { get; init; }

    /// <summary>Shared training options of all arms, which override base.</summary>
    public JsonObject Options { get; init; } = [];

    /// <summary>Arms by name.</summary>
    public IReadOnlyList<ArmSpec> Arms { get; init; } = [];

    /// <summary>
    /// Option paths, each with a list of values: every combination is one more arm. The path 'from' stands for the pre-training.
    /// </summary>
    public JsonObject Axes { get; init; } = [];

    /// <summary>The arm that the others are compared with; default the first.</summary>
    public string? Baseline { get; init; }

    /// <summary>Every arm is trained once with each of these seeds.</summary>
    public IReadOnlyList<ulong> Seeds { get; init; } = [1, 2, 3];

    /// <summary>Trainings that arms start from, by name; each is done once. Where there is one, all arms start from it.</summary>
    public IReadOnlyDictionary<string, PretrainingSpec> Pretraining { get; init; } = new Dictionary<string, PretrainingSpec>();

    /// <summary>The real pictures to measure against.</summary>
    public HeldOutSpec HeldOut { get; init; } = new();

    /// <summary>How arms are measured; nothing here needs training again.</summary>
    public AblationEvaluation Evaluation { get; init; } = new();

    private static readonly string[] Networks = ["inception", "squeezeNet", "retouchFeatures", "clip"];

    /// <summary>Reads a file and what was given beside it.</summary>
    /// <param name="path">The file.</param>
    /// <param name="set">PATH=VALUE of the spec itself.</param>
    /// <exception cref="UsageException">A member is unknown or has the wrong kind.</exception>
    public static AblationSpec Read(string path, IEnumerable<string> set)
    {
        var json = OptionsFile.Read(path);
        json.Remove("$schema");
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        // Networks that the file names lie relative to it, as its base does; those given beside it, to the current folder.
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

    /// <summary>Sets PATH=VALUE.</summary>
    /// <exception cref="UsageException">It has no '='.</exception>
    public static void SetPair(JsonObject json, string pair, string option)
    {
        var equals = pair.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0)
            throw new UsageException($"{option} takes PATH=VALUE; '{pair}' is none.");
        OptionsFile.Set(json, pair[..equals], pair[(equals + 1)..]);
    }

    /// <summary>Lays options over others: objects member by member, all else as a whole.</summary>
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

    /// <summary>Checks what does not depend on the training options.</summary>
    /// <exception cref="UsageException">All that is wrong.</exception>
    public void Validate()
    {
        var check = Requirements.OfFile();
        check.That(Arms.Count > 0 || Axes.Count > 0, "there are neither arms nor axes: nothing would be compared");
        check.That(Seeds.Count > 0, nameof(Seeds), "is empty; give at least one");
        check.That(Seeds.Distinct().Count() == Seeds.Count, nameof(Seeds), "has one twice; it would be the same run");
        foreach (var (path, values) in Axes)
            check.That(values is JsonArray { Count: > 0 }, $"axes.{path} is {JsonTexts.Shown(values)}; it is a list of values");
        foreach (var (name, pretraining) in Pretraining)
            check.That(
                pretraining.From is null || (pretraining.From != name && Pretraining.ContainsKey(pretraining.From)),
                $"pretraining.{name}.from is '{pretraining.From}', which is no other pre-training"
            );
        check.That(!Pretraining.Keys.Any(Circles), "pretraining: from leads in a circle");
        check.Under(nameof(HeldOut)).Members(HeldOut);
        check.That(
            HeldOut.Folder is null || HeldOut.Every == new HeldOutSpec().Every,
            "heldOut.every is for splitting data.folder; it has no effect with heldOut.folder"
        );
        Evaluation.Validate(check.Under(nameof(Evaluation)));
        check.Throw("The ablation cannot be run");
    }

    private bool Circles(string name)
    {
        var at = name;
        for (var k = 0; k <= Pretraining.Count && at is not null; k++)
            at = Pretraining.GetValueOrDefault(at)?.From;
        return at is not null;
    }
}

/// <summary>One arm.</summary>
public sealed record ArmSpec
{
    /// <summary>Its name in tables.</summary>
    public string Name { get; init; } = "";

    /// <summary>Option paths and their values, as in "objective.perceptual.threshold": 6.</summary>
    public JsonObject Set { get; init; } = [];

    /// <summary>The pre-training it starts from; default the only one.</summary>
    public string? From { get; init; }

    /// <summary>The arm it is compared with; default the baseline.</summary>
    public string? Against { get; init; }
}

/// <summary>A training that arms start from.</summary>
public sealed record PretrainingSpec
{
    /// <summary>Training options, which override the shared options.</summary>
    public JsonObject Options { get; init; } = [];

    /// <summary>Another pre-training that this one continues.</summary>
    public string? From { get; init; }
}

/// <summary>The real pictures to measure against.</summary>
public sealed record HeldOutSpec
{
    /// <summary>
    /// A folder of pictures that nothing is trained on; without it data.folder is split, and for procedural scenes others are drawn.
    /// </summary>
    public string? Folder { get; init; }

    /// <summary>One of this many pictures of <c>data.folder</c> is held out.</summary>
    [Bounds(AtLeast = 2, AtMost = 1000)]
    public int Every { get; init; } = 10;
}
