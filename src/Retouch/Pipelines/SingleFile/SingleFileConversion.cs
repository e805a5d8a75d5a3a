using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.SingleFile;

/// <summary>How a single file is converted.</summary>
public sealed record SingleFileOptions
{
    /// <summary>Type of the stored weights; null keeps theirs.</summary>
    public DType? DType { get; init; }

    /// <summary>Most bytes of a file; null writes one file a component.</summary>
    public long? MaxShardSize { get; init; }

    /// <summary>
    /// Folder with <c>tokenizer/</c> (and <c>tokenizer_2/</c> for SDXL), or, for models with one text encoder, with the tokenizer's files
    /// themselves. Null leaves tokenizers out: single files have none.
    /// </summary>
    public string? Tokenizer { get; init; }

    /// <summary>
    /// What the denoiser predicts: <c>epsilon</c> or <c>v_prediction</c>. Null goes by the file; where it does not say (Stable Diffusion
    /// 2), v.
    /// </summary>
    public string? Prediction { get; init; }

    /// <summary>What is written for a model.</summary>
    public string PredictionOf(SingleFileModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Prediction ?? (model.PredictsVelocity == false ? "epsilon" : "v_prediction");
    }
}

/// <summary>From a checkpoint in the original layout to a diffusers folder, a tensor at a time.</summary>
public static class SingleFileConversion
{
    /// <summary>Converts a file.</summary>
    /// <param name="path">A safetensors file.</param>
    /// <param name="folder">The folder to write; it appears as a whole or not at all.</param>
    /// <param name="options">How.</param>
    /// <returns>What the file held.</returns>
    /// <exception cref="InputException">The file is none of the supported models, or a weight is beyond the range of float16.</exception>
    /// <exception cref="UsageException">The tokenizer's folder does not fit the model.</exception>
    public static SingleFileModel Convert(string path, string folder, SingleFileOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        SingleFileModel model;
        using (var file = SafetensorsFile.Open(path))
            model = SingleFileModel.Read(file, path);
        var tokenizers = Tokenizers(model, options.Tokenizer);
        // The second generation's networks that predict ε are those for 512 pixels.
        if (model.Kind == SingleFileKind.StableDiffusion2 && options.PredictionOf(model) == "epsilon")
            model.Components[0].Config["sample_size"] = 64;
        AtomicFolder.Write(
            folder,
            temporary =>
            {
                foreach (var component in model.Components)
                    Write(path, component, Directory.CreateDirectory(Path.Combine(temporary, component.Name)).FullName, options);
                foreach (var (name, from) in tokenizers.Where(static t => t.From is not null))
                    FolderCopy.Copy(from!, Path.Combine(temporary, name));
                var scheduler = Scheduler(model, options.PredictionOf(model));
                AtomicFile.WriteText(Path.Combine(temporary, "scheduler", "scheduler_config.json"), ConfigDocument.Create(scheduler).Text);
                AtomicFile.WriteText(
                    Path.Combine(temporary, PipelineLayout.IndexName),
                    ConfigDocument.Create(Index(model, tokenizers, scheduler)).Text
                );
            }
        );
        return model;
    }

    private static void Write(string path, SingleFileComponent component, string folder, SingleFileOptions options)
    {
        // Opened for each component anew: what was read of others is given back.
        using var file = SafetensorsFile.Open(path);
        var tensors = component.Keys.Select(pair => new LazyTensor(
            pair.Key,
            options.DType is { } type && file.Entries[pair.Value.Key].DType.IsFloatingPoint() ? type : file.Entries[pair.Value.Key].DType,
            pair.Value.ShapeFrom(file.ShapeOf(pair.Value.Key))!,
            () => WeightTypes.Convert(pair.Key, pair.Value.Apply(file.Read(pair.Value.Key)), options.DType)
        ));
        WeightShards.Write(folder, component.Library == "diffusers" ? WeightFiles.Stem : "model", [.. tensors], options.MaxShardSize);
        AtomicFile.WriteText(Path.Combine(folder, ComponentFolder.ConfigName), ConfigDocument.Create(component.Config).Text);
    }

    private static List<(string Name, string? From)> Tokenizers(SingleFileModel model, string? given)
    {
        string[] names = model.Kind == SingleFileKind.StableDiffusionXl ? ["tokenizer", "tokenizer_2"] : ["tokenizer"];
        if (given is null)
            return [.. names.Select(static n => (n, (string?)null))];
        if (!Directory.Exists(given))
            throw new UsageException($"--tokenizer: there is no folder '{given}'.");
        if (names.All(n => Directory.Exists(Path.Combine(given, n))))
            return [.. names.Select(n => (n, (string?)Path.Combine(given, n)))];
        if (names.Length == 1 && File.Exists(Path.Combine(given, "vocab.json")) && File.Exists(Path.Combine(given, "merges.txt")))
            return [(names[0], given)];
        throw new UsageException(
            $"--tokenizer: '{given}' has not "
                + $"{string.Join(" and ", names.Select(static n => n + "/"))}"
                + $"{(names.Length == 1 ? " and is no tokenizer itself (vocab.json, merges.txt)" : "; the two differ in their padding")}"
                + $"."
        );
    }

    private static JsonObject Scheduler(SingleFileModel model, string prediction)
    {
        var json = new JsonObject
        {
            ["_class_name"] = model.Kind == SingleFileKind.StableDiffusionXl ? "EulerDiscreteScheduler" : "DDIMScheduler",
            ["beta_end"] = 0.012,
            ["beta_schedule"] = "scaled_linear",
            ["beta_start"] = 0.00085,
        };
        if (model.Kind == SingleFileKind.StableDiffusionXl)
        {
            json["interpolation_type"] = "linear";
        }
        else
        {
            json["clip_sample"] = false;
            json["set_alpha_to_one"] = false;
        }

        json["num_train_timesteps"] = 1000;
        json["prediction_type"] = prediction;
        json["steps_offset"] = 1;
        json["timestep_spacing"] = "leading";
        json["trained_betas"] = null;
        return json;
    }

    private static JsonObject Index(SingleFileModel model, List<(string Name, string? From)> tokenizers, JsonObject scheduler)
    {
        var inpaints = model.Components[0].Config["in_channels"]!.GetValue<int>() == 9;
        var isXl = model.Kind == SingleFileKind.StableDiffusionXl;
        var json = new JsonObject { ["_class_name"] = $"StableDiffusion{(isXl ? "XL" : "")}{(inpaints ? "Inpaint" : "")}Pipeline" };
        if (isXl)
            json["force_zeros_for_empty_prompt"] = true;
        else
            json["requires_safety_checker"] = false;
        var entries = new SortedDictionary<string, JsonArray>(StringComparer.Ordinal)
        {
            ["scheduler"] = new JsonArray("diffusers", scheduler["_class_name"]!.GetValue<string>()),
        };
        foreach (var component in model.Components)
            entries[component.Name] = new JsonArray(component.Library, component.ClassName);
        foreach (var (name, from) in tokenizers)
            entries[name] = from is null ? [null, null] : ["transformers", "CLIPTokenizer"];
        // Optional parts of the pipelines, without which diffusers asks for them.
        foreach (
            var absent in isXl ? (string[])["feature_extractor", "image_encoder"] : ["feature_extractor", "image_encoder", "safety_checker"]
        )
            entries[absent] = [null, null];
        foreach (var (name, entry) in entries)
            json[name] = entry;
        return json;
    }
}
