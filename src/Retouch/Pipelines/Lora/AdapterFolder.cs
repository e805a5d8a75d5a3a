using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Lora;

/// <summary>
/// A folder of low-rank adapters that is usable as a model: <see cref="LoraFile.Name"/> and <see cref="ConfigName"/>, which references the
/// base model. All verbs that take a pipeline accept such a folder; <see cref="LatentDiffusionPipeline.Load"/> loads the base and merges
/// the adapters.
/// </summary>
/// <param name="Folder">Folder of the adapters.</param>
/// <param name="Base">Absolute folder of the model that they were trained on: a pipeline or another adapter folder.</param>
/// <param name="Scheduler">Replaces the base's <c>scheduler_config.json</c>; null if they were trained with that one.</param>
public sealed record AdapterFolder(string Folder, string Base, JsonObject? Scheduler)
{
    /// <summary>File that references the base model.</summary>
    public const string ConfigName = "adapter.json";

    private const string BaseMember = "base_model";
    private const string SchedulerMember = "scheduler";
    private const string SampleMember = "base_sample";

    /// <summary>Fingerprint of the base model's weights in training, or null if unknown.</summary>
    internal IReadOnlyList<double>? Sample { get; private init; }

    /// <summary>Whether a folder has adapters and is not a whole pipeline.</summary>
    public static bool IsAt(string folder) =>
        File.Exists(Path.Combine(folder, LoraFile.Name)) && !File.Exists(Path.Combine(folder, PipelineLayout.IndexName));

    /// <summary>The underlying pipeline: the folder itself, or the base model of its adapters.</summary>
    /// <exception cref="InputException">The base model is not named or does not exist.</exception>
    public static string RootOf(string folder) => Stack(folder) is [.., var last] ? last.Base : folder;

    /// <summary>Chain of adapter folders, outermost first; empty for a whole pipeline.</summary>
    /// <exception cref="InputException">The base model is not named or does not exist.</exception>
    public static IReadOnlyList<AdapterFolder> Stack(string folder)
    {
        const int Most = 16;
        List<AdapterFolder> stack = [];
        for (AtomicFolder.Recover(folder); IsAt(folder); folder = stack[^1].Base)
        {
            if (stack.Count == Most)
                throw new InputException(
                    $"'{stack[0].Folder}' has a chain of more than {Most} base adapters; is one of them its own "
                        + $"{BaseMember}? Merge them: retouch convert."
                );
            stack.Add(Read(folder));
        }

        return stack;
    }

    /// <summary>Saves adapters and the reference to their base model; the folder is replaced atomically.</summary>
    /// <param name="folder">Output folder.</param>
    /// <param name="adapters">Adapters with values.</param>
    /// <param name="component">Name of the network in its pipeline: <c>unet</c> or <c>transformer</c>.</param>
    /// <param name="model">Folder of the base model.</param>
    /// <param name="options">Adapter options.</param>
    /// <param name="network">Parameters of the network in training, for the fingerprint of the base model; null to omit it.</param>
    /// <param name="scheduler">See <see cref="Scheduler"/>.</param>
    /// <exception cref="EnvironmentException">The disk is full or the folder is not writable.</exception>
    public static void Save(
        string folder,
        LowRankAdapters adapters,
        string component,
        string model,
        AdapterOptions options,
        ParameterStore? network = null,
        JsonObject? scheduler = null
    )
    {
        ArgumentNullException.ThrowIfNull(options);
        var json = new JsonObject
        {
            [BaseMember] = Path.GetFullPath(model),
            ["component"] = component,
            ["rank"] = options.Rank,
            ["alpha"] = options.Alpha ?? options.Rank,
            ["targets"] = new JsonArray([.. options.Targets.Select(static t => (JsonNode)t)]),
        };
        if (network is not null)
            json[SampleMember] = new JsonArray([.. BaseSample.Of(network).Select(static v => (JsonNode)v)]);
        if (scheduler is not null)
            json[SchedulerMember] = scheduler.DeepClone();
        AtomicFolder.Write(
            folder,
            temporary =>
            {
                LoraFile.Write(Path.Combine(temporary, LoraFile.Name), adapters, component);
                AtomicFile.WriteText(Path.Combine(temporary, ConfigName), ConfigDocument.Create(json).Text);
            }
        );
    }

    private static AdapterFolder Read(string folder)
    {
        var path = Path.Combine(folder, ConfigName);
        if (!File.Exists(path))
            throw new InputException(
                $"'{folder}' has adapters, but no {ConfigName} that names their base model. Give the model and the adapters separately: "
                    + $"--model MODEL --lora {folder}."
            );
        var json = ConfigDocument.Read(path).Json;
        var model = Path.GetFullPath(new JsonMembers(json, path).Text(BaseMember), Path.GetFullPath(folder));
        if (!Directory.Exists(model))
            throw new InputException(
                $"'{path}' names the model '{model}' ({BaseMember}), which does not exist. Restore it, or change {BaseMember}; "
                    + $"relative paths start at the adapters' folder."
            );
        var scheduler = json[SchedulerMember] switch
        {
            null => null,
            JsonObject given => given.DeepClone().AsObject(),
            var other => throw new InputException(
                $"'{path}': {SchedulerMember} is {JsonTexts.Shown(other)}; it must be an object with the members of a "
                    + "scheduler_config.json."
            ),
        };
        return new AdapterFolder(folder, model, scheduler) { Sample = ReadSample(json, path) };
    }

    private static double[]? ReadSample(JsonObject json, string path) =>
        json[SampleMember] switch
        {
            null => null,
            JsonArray array when array.All(static v => v is JsonValue value && value.TryGetValue<double>(out _)) =>
            [
                .. array.Select(static v => v!.GetValue<double>()),
            ],
            _ => throw new InputException($"'{path}': {SampleMember} is not a list of numbers."),
        };
}
