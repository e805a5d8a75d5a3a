using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Lora;

/// <summary>
/// Low-rank adapters as a model of their own: <see cref="LoraFile.Name"/>, and beside it <see cref="ConfigName"/>, which says what model
/// they change. Every verb that takes a pipeline takes such a folder; <see cref="LatentDiffusionPipeline.Load"/> reads both and merges
/// them.
/// </summary>
/// <param name="Folder">The adapters' folder.</param>
/// <param name="Base">The folder of the model that they were trained on: a pipeline, or adapters once more. Absolute.</param>
/// <param name="Scheduler">Stands in for the base's <c>scheduler_config.json</c>; null where they were trained with that.</param>
public sealed record AdapterFolder(string Folder, string Base, JsonObject? Scheduler)
{
    /// <summary>The file that names the model.</summary>
    public const string ConfigName = "adapter.json";

    private const string BaseMember = "base_model";
    private const string SchedulerMember = "scheduler";
    private const string SampleMember = "base_sample";

    /// <summary>Some of the model's weights when the adapters were trained; null where that is not known.</summary>
    internal IReadOnlyList<double>? Sample { get; private init; }

    /// <summary>Whether a folder holds adapters and no whole pipeline.</summary>
    public static bool IsAt(string folder) =>
        File.Exists(Path.Combine(folder, LoraFile.Name)) && !File.Exists(Path.Combine(folder, PipelineLayout.IndexName));

    /// <summary>The pipeline at the bottom: the folder itself, or the model beneath its adapters.</summary>
    /// <exception cref="InputException">The adapters do not say what model they belong to, or it is not there.</exception>
    public static string RootOf(string folder) => Stack(folder) is [.., var last] ? last.Base : folder;

    /// <summary>Adapters upon adapters, the outermost first; empty for a whole pipeline.</summary>
    /// <exception cref="InputException">The adapters do not say what model they belong to, or it is not there.</exception>
    public static IReadOnlyList<AdapterFolder> Stack(string folder)
    {
        const int Most = 16;
        List<AdapterFolder> stack = [];
        for (AtomicFolder.Recover(folder); IsAt(folder); folder = stack[^1].Base)
        {
            if (stack.Count == Most)
                throw new InputException(
                    $"'{stack[0].Folder}' stands on more than {Most} adapters, one on the other; is one of them its own "
                        + $"{BaseMember}? Merge them: retouch convert."
                );
            stack.Add(Read(folder));
        }

        return stack;
    }

    /// <summary>Writes adapters and what they belong to: the folder is replaced as a whole or not at all.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="adapters">With values.</param>
    /// <param name="component">The network's name in its pipeline: <c>unet</c> or <c>transformer</c>.</param>
    /// <param name="model">The folder that the network came from.</param>
    /// <param name="options">How the adapters were made.</param>
    /// <param name="network">The network's own parameters, as they were in training; null leaves out what the model is known again
    /// by.</param>
    /// <param name="scheduler">As <see cref="Scheduler"/>.</param>
    /// <exception cref="EnvironmentException">The disk is full or the folder cannot be written to.</exception>
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
                $"'{folder}' holds adapters, but no {ConfigName} that names their model. Give the model, and the adapters beside "
                    + $"it: --model MODEL --lora {folder}."
            );
        var json = ConfigDocument.Read(path).Json;
        var model = Path.GetFullPath(new JsonMembers(json, path).Text(BaseMember), Path.GetFullPath(folder));
        if (!Directory.Exists(model))
            throw new InputException(
                $"'{path}' names the model '{model}' ({BaseMember}), which is not there. Put it there, or change {BaseMember}; a "
                    + $"relative path is taken from the adapters' folder."
            );
        var scheduler = json[SchedulerMember] switch
        {
            null => null,
            JsonObject given => given.DeepClone().AsObject(),
            var other => throw new InputException(
                $"'{path}': {SchedulerMember} is {other.ToJsonString()}; it holds the members of a scheduler_config.json."
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
            _ => throw new InputException($"'{path}': {SampleMember} is no list of numbers."),
        };
}
