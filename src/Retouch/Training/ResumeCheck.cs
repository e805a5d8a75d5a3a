using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;
using Retouch.Torch;
using Retouch.Training.Caching;
using Retouch.Training.Options;
using Retouch.Training.State;

namespace Retouch.Training;

/// <summary>Compares a resumed run with the state stored when it was last trained.</summary>
/// <param name="folder">Folder of the run.</param>
/// <param name="options">Options of the resumed run.</param>
/// <param name="inputs">Current inputs of the run.</param>
internal sealed class ResumeCheck(RunFolder folder, TrainingOptions options, RunInputs inputs)
{
    private static readonly string[] Parts =
    [
        "vae",
        "unet",
        "transformer",
        "scheduler",
        "text_encoder",
        "text_encoder_2",
        "text_encoder_3",
        "tokenizer",
        "tokenizer_2",
        "tokenizer_3",
    ];

    /// <summary>Current inputs of a run.</summary>
    /// <param name="options">Resolved options.</param>
    /// <param name="data">Training data.</param>
    /// <param name="heldOut">Held-out samples, or null.</param>
    public static RunInputs Inputs(TrainingOptions options, TrainingData data, IPictureSource? heldOut) =>
        RunInputs.Of(TorchRuntime.Version, ModelHashes(options.Model), data.Sources, heldOut);

    /// <summary>Lists changes, and stops if they would silently change the meaning of the run.</summary>
    /// <param name="accept">Whether changes are accepted.</param>
    /// <param name="note">Receives the list of changes.</param>
    /// <returns>Whether the samples differ, so that the data cursor is no longer valid.</returns>
    /// <exception cref="InputException">A change is not accepted.</exception>
    public bool Run(bool accept, Action<string> note)
    {
        var state = new CheckpointStore(folder.Path).Peek();
        if (state is null)
            return false;
        var before = RunInputs.Read(folder.InputsFile);
        List<RunChange> changes =
        [
            .. before?.ChangesTo(inputs) ?? [],
            .. state.Options is { } old ? OptionChanges.Between(old, options) : [],
        ];
        if (before is null || state.Options is null)
            note("The run does not record the data, model or options of its checkpoint: changes to them cannot be detected.");
        var list = string.Concat(changes.Select(static c => $"\n  {c.Text}"));
        if (!accept && changes.Exists(static c => c.Matters))
        {
            throw new InputException(
                $"Since the checkpoint of step {state.Step} these have changed:{list}\nResuming would silently change the meaning of the "
                    + "run. Restore them, or resume with --accept-changes."
            );
        }

        if (changes.Count > 0)
            note($"Since the checkpoint of step {state.Step} these have changed:{list}");
        if (state.Options is { } written && OptionChanges.Rate(written, options, state.Step) is { } rate)
            note(rate);
        return before is not null && !before.HasSamplesOf(inputs);
    }

    /// <summary>Hashes of the initial model's parts, by name.</summary>
    public static Dictionary<string, string> ModelHashes(ModelOptions model)
    {
        var hashes = new Dictionary<string, string>(StringComparer.Ordinal);
        void Add(string name, string? part)
        {
            if (part is not null && Directory.Exists(part))
                hashes[name] = ComponentHash.Of(part);
        }

        if (model.Path is { } path)
        {
            var root = AdapterFolder.RootOf(path);
            Add("files", root);
            foreach (var part in Parts)
                Add(part, Path.Combine(root, part));
            foreach (var adapters in AdapterFolder.Stack(path))
                Add($"adapters '{Path.GetFileName(adapters.Folder)}'", adapters.Folder);
        }

        Add("autoencoder", model.Autoencoder);
        foreach (var part in model.PromptsFrom is { } prompts ? PromptEncoders.FoldersOf(prompts) : [])
            Add(Path.GetFileName(part), part);
        return hashes;
    }
}
