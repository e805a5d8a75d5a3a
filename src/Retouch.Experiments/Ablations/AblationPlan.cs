using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Evaluation.Reports;
using Retouch.Experiments.Demo;
using Retouch.Torch;
using Retouch.Torch.Optim;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Experiments.Ablations;

/// <summary>Pictures of one or more arms.</summary>
/// <param name="Key">Name of their folder.</param>
/// <param name="Folder">Folder of the user's pictures; null for procedural scenes.</param>
/// <param name="HeldOut">Separate folder of reference pictures; null splits <paramref name="Folder"/>.</param>
/// <param name="Every">One in this many pictures is held out.</param>
/// <param name="SceneSeed">Seed of procedural scenes.</param>
/// <param name="Size">Side in pixels.</param>
/// <param name="References">Maximum number of reference pictures.</param>
public sealed record PlannedData(string Key, string? Folder, string? HeldOut, int Every, ulong SceneSeed, int Size, int References)
{
    /// <summary>Whether training pictures are written too, because the folder is split.</summary>
    public bool Splits => Folder is not null && HeldOut is null;
}

/// <summary>Pre-training: a training whose result others start from.</summary>
/// <param name="Name">Name in the spec.</param>
/// <param name="Key">Name of its folder.</param>
/// <param name="Options">Options, complete except for the path of the initial model.</param>
/// <param name="From">Pre-training of the initial model; null if the options name it.</param>
/// <param name="Data">Pictures.</param>
public sealed record PlannedTraining(string Name, string Key, TrainingOptions Options, PlannedTraining? From, PlannedData Data);

/// <summary>Arm of an ablation.</summary>
/// <param name="Training">Training; its seed is set for each run.</param>
/// <param name="Settings">Distinguishing option paths and values.</param>
/// <param name="Against">Name of the comparison arm.</param>
public sealed record PlannedArm(PlannedTraining Training, IReadOnlyList<KeyValuePair<string, JsonNode?>> Settings, string Against)
{
    /// <summary>Name.</summary>
    public string Name => Training.Name;
}

/// <summary>Sampling options of a trained arm.</summary>
/// <param name="Decay">Decay of the weight average; 0 for the weights themselves.</param>
/// <param name="Steps">Sampler steps.</param>
/// <param name="Guidance">Guidance scale.</param>
public sealed record Variant(double Decay, int Steps, double Guidance);

/// <summary>
/// Plan of an ablation. Names contain a hash of everything that determines the result: existing results under the same name are reused.
/// </summary>
public sealed class AblationPlan
{
    private readonly Dictionary<string, PlannedTraining> _pretrainings = [];
    private readonly string? _model;

    /// <param name="spec">Specification, checked here.</param>
    /// <param name="model">Initial pipeline if the options name none.</param>
    /// <exception cref="UsageException">The specification or the options of an arm are invalid.</exception>
    public AblationPlan(AblationSpec spec, string? model)
    {
        spec.Validate();
        (Spec, _model) = (spec, model);
        List<PlannedArm> arms = [.. spec.Arms.Select(arm => Arm(arm.Name, [.. arm.Set], arm.From, arm.Against))];
        if (spec.Axes.Count > 0)
            arms.AddRange(
                Combinations(spec.Axes)
                    .Select(settings => Arm(NameOf(settings), [.. settings.Where(static s => s.Key != "from")], FromOf(settings), null))
            );
        Arms = arms;
        var names = arms.Select(static arm => arm.Name).ToHashSet(StringComparer.Ordinal);
        if (names.Count != arms.Count || names.Contains(""))
            throw new UsageException($"Arm names must be unique; given: {string.Join(", ", arms.Select(static arm => $"'{arm.Name}'"))}.");
        foreach (var arm in arms)
        {
            var other =
                arms.FirstOrDefault(a => a.Name == arm.Against)
                ?? throw new UsageException(
                    $"Arm '{arm.Name}' is compared with '{arm.Against}', which is not an arm; known: {string.Join(", ", names)}."
                );
            if (other.Training.Data.Key != arm.Training.Data.Key)
                throw new UsageException(
                    $"Arm '{arm.Name}' is compared with '{arm.Against}', which is evaluated on other pictures; name one with the "
                        + $"same pictures with \"against\"."
                );
        }
    }

    /// <summary>Specification.</summary>
    public AblationSpec Spec { get; }

    /// <summary>Arms.</summary>
    public IReadOnlyList<PlannedArm> Arms { get; }

    /// <summary>Pre-trainings in order of their dependencies.</summary>
    public IEnumerable<PlannedTraining> Pretrainings =>
        Arms.SelectMany(static arm => Chain(arm.Training.From)).DistinctBy(static t => t.Key);

    /// <summary>All sets of pictures.</summary>
    public IEnumerable<PlannedData> Data =>
        Arms.Select(static a => a.Training.Data).Concat(Pretrainings.Select(static t => t.Data)).DistinctBy(static d => d.Key);

    /// <summary>Sampling options of each arm.</summary>
    public IReadOnlyList<Variant> Variants(PlannedArm arm)
    {
        var usual = arm.Training.Options.Averages is [var first, ..] ? first.Decay : 0;
        var e = Spec.Evaluation;
        return
        [
            .. from decay in e.Decays ?? [usual]
            from guidance in e.Guidance
            from steps in e.SamplerSteps
            select new Variant(decay, steps, guidance),
        ];
    }

    /// <summary>Hash of a text, eight digits.</summary>
    public static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..8];

    private static IEnumerable<PlannedTraining> Chain(PlannedTraining? at) => at is null ? [] : Chain(at.From).Append(at);

    private static IEnumerable<KeyValuePair<string, JsonNode?>[]> Combinations(JsonObject axes)
    {
        IEnumerable<KeyValuePair<string, JsonNode?>[]> all =
        [
            [],
        ];
        foreach (var (path, values) in axes)
            all = all.SelectMany(_ => values!.AsArray(), (some, value) => (KeyValuePair<string, JsonNode?>[])[.. some, new(path, value)]);
        return all;
    }

    private static string? FromOf(KeyValuePair<string, JsonNode?>[] settings) =>
        settings.FirstOrDefault(static s => s.Key == "from").Value?.ToString();

    private static string NameOf(KeyValuePair<string, JsonNode?>[] settings) =>
        string.Join(
            ", ",
            settings.Select(static s =>
                s.Key == "from"
                    ? $"from {s.Value}"
                    : $"{s.Key.Split('.')[^1]} "
                        + (
                            s.Value is JsonValue text && text.TryGetValue<string>(out var plain)
                                ? plain
                                : s.Value?.ToJsonString() ?? "default"
                        )
            )
        );

    private PlannedArm Arm(string name, IReadOnlyList<KeyValuePair<string, JsonNode?>> settings, string? from, string? against)
    {
        var options = Shared();
        foreach (var (path, value) in settings)
            OptionsFile.Set(options, path, value?.DeepClone());
        from ??= Spec.Pretraining.Count == 1 ? Spec.Pretraining.Keys.First() : null;
        if (from is null && Spec.Pretraining.Count > 1)
            throw new UsageException(
                $"Arm '{name}': several pre-trainings ({string.Join(", ", Spec.Pretraining.Keys)}); choose one with \"from\"."
            );
        var first = Spec.Baseline ?? (Spec.Arms.Count > 0 ? Spec.Arms[0].Name : NameOf(Combinations(Spec.Axes).First()));
        return new PlannedArm(Training(name, options, from, isArm: true), settings, against ?? first);
    }

    /// <summary>Options of all arms. A given model replaces theirs; an arm can override it.</summary>
    private JsonObject Shared()
    {
        var options = (JsonObject)Spec.Options.DeepClone();
        if (_model is not null && options["model"] is JsonObject own && own["path"] is not null)
            own["path"] = _model;
        return options;
    }

    private PlannedTraining Pretraining(string name)
    {
        if (_pretrainings.TryGetValue(name, out var known))
            return known;
        if (!Spec.Pretraining.TryGetValue(name, out var asked))
            throw new UsageException(
                $"Unknown pre-training '{name}'; known: {string.Join(", ", Spec.Pretraining.Keys.DefaultIfEmpty("none"))}."
            );
        var options = Shared();
        AblationSpec.Lay(asked.Options, options);
        // A model trained from scratch has no initial model.
        if (options["model"] is JsonObject model && model["config"] is not null)
            model.Remove("path");
        return _pretrainings[name] = Training(name, options, asked.From, isArm: false);
    }

    private PlannedTraining Training(string name, JsonObject options, string? from, bool isArm)
    {
        var origin = $"{(isArm ? "arm" : "pre-training")} '{name}'";
        var parent = from is null ? null : Pretraining(from);
        if (options["model"] is not JsonObject model)
            options["model"] = model = [];
        if (parent is not null)
        {
            model.Remove("config");
            model.Remove("autoencoder");
            model["path"] = $"pretraining/{parent.Key}";
        }
        else if (model["config"] is null && model["path"] is null)
        {
            model["path"] = _model ?? DemoRecipes.Model();
        }
        else if (model["config"] is not null && model["autoencoder"] is null)
        {
            model["autoencoder"] = Path.Combine(_model ?? DemoRecipes.Model(), "vae");
        }

        var bound = OptionsFile.Bind<TrainingOptions>(options, origin) with { Seed = isArm ? 0 : options["seed"]?.GetValue<ulong>() ?? 0 };
        if (isArm && Spec.Evaluation.Decays is { } decays)
        {
            var like = bound.Averages is [var first, ..] ? first : new WeightAverageOptions();
            bound = bound with
            {
                Averages =
                [
                    .. bound.Averages.Where(a => decays.Contains(a.Decay)),
                    .. decays.Where(d => d > 0 && bound.Averages.All(a => a.Decay != d)).Select(d => like with { Decay = d }),
                ],
            };
        }

        try
        {
            bound.Validate();
            bound = bound with { Device = Device.Parse(bound.Device).ToString() };
            // A model that the spec trains first has no configuration yet.
            bound = NativeSize.FillIn(bound with { Data = bound.Data with { Size = bound.Data.Size ?? parent?.Options.Data.Size } });
        }
        catch (UsageException e)
        {
            throw new UsageException($"{origin}: {e.Message}", e);
        }

        if (bound.Task != TrainingTaskKind.Denoiser)
            throw new UsageException($"{origin}: task autoencoder is not supported; ablations compare denoisers.");
        var data = Pictures(bound.Data, origin);
        var hash = Hash($"{OptionsFile.Write(bound with { Objective = bound.Objective?.Resolve() })}\n{data.Key}\n{parent?.Key}");
        return new PlannedTraining(name, $"{ReportWriter.Slug(name)}-{hash}", bound, parent, data);
    }

    private PlannedData Pictures(DataOptions data, string origin)
    {
        if ((data.Shards ?? data.Parquet) is not null && Spec.HeldOut.Folder is null)
            throw new UsageException(
                $"{origin}: data.shards and data.parquet cannot be split; give reference pictures with heldOut.folder."
            );
        if (data.Pairs is not null && data.Folder is null && Spec.HeldOut.Folder is null)
            throw new UsageException($"{origin}: data.pairs cannot be split; give reference pictures with heldOut.folder.");
        var folder =
            data.Folder is { } f ? Path.GetFullPath(f)
            : (data.Shards ?? data.Parquet) is { } shards ? string.Join(' ', shards)
            : null;
        var held = Spec.HeldOut.Folder is { } h ? Path.GetFullPath(h) : null;
        var count = Spec.Evaluation.References ?? Spec.Evaluation.Samples;
        var said = string.Create(CultureInfo.InvariantCulture, $"{folder}|{held}|{Spec.HeldOut.Every}|{data.SceneSeed ?? 0}|{count}");
        return new PlannedData($"{data.Side}-{Hash(said)}", folder, held, Spec.HeldOut.Every, data.SceneSeed ?? 0, data.Side, count);
    }
}
