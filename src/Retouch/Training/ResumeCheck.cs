using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;
using Retouch.Torch;
using Retouch.Training.Caching;
using Retouch.Training.Options;
using Retouch.Training.State;

namespace Retouch.Training;

/// <summary>Compares a run that goes on with itself when it was last trained.</summary>
/// <param name="folder">The run's.</param>
/// <param name="options">Those to go on with.</param>
/// <param name="inputs">What it depends on now.</param>
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

    /// <summary>What a run depends on now.</summary>
    public static RunInputs Inputs(TrainingOptions options, TrainingData data) =>
        RunInputs.Of(TorchRuntime.Version, ModelHashes(options.Model), data.Sources);

    /// <summary>Lists what changed, and stops where going on would silently mean something else.</summary>
    /// <param name="accept">Whether that is wanted.</param>
    /// <param name="note">Told what changed.</param>
    /// <returns>Whether the samples are others, so that a place among them means nothing any more.</returns>
    /// <exception cref="InputException">Something changed that is not accepted.</exception>
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
            note(
                "The run does not say with what data, model or options its checkpoint was written: whether they have changed cannot be seen."
            );
        var list = string.Concat(changes.Select(static c => $"\n  {c.Text}"));
        if (!accept && changes.Exists(static c => c.Matters))
        {
            throw new InputException(
                $"Since the checkpoint of step {state.Step} these have changed:{list}\nGoing on would silently mean something else. Put them back as "
                    + "they were, or go on with --accept-changes."
            );
        }

        if (changes.Count > 0)
            note($"Since the checkpoint of step {state.Step} these have changed:{list}");
        if (state.Options is { } written && OptionChanges.Rate(written, options, state.Step) is { } rate)
            note(rate);
        return before is not null && !before.HasSamplesOf(inputs);
    }

    private static Dictionary<string, string> ModelHashes(ModelOptions model)
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
