using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.SingleFile;

/// <summary>Options of a single-file conversion.</summary>
public sealed record SingleFileOptions
{
    /// <summary>Type of the stored weights; null for no conversion.</summary>
    public DType? DType { get; init; }

    /// <summary>Maximum bytes per file; null for one file per component.</summary>
    public long? MaxShardSize { get; init; }

    /// <summary>
    /// Folder with <c>tokenizer/</c> (and <c>tokenizer_2/</c> for SDXL) or, for models with one text encoder, with the tokenizer's files.
    /// Null omits tokenizers, which single files do not contain.
    /// </summary>
    public string? Tokenizer { get; init; }

    /// <summary>
    /// Prediction type of the denoiser: <c>epsilon</c> or <c>v_prediction</c>. Null for the file's own; without one (Stable Diffusion 2),
    /// v.
    /// </summary>
    public string? Prediction { get; init; }

    /// <summary>Resolved prediction type of a model.</summary>
    /// <exception cref="InputException">The file contradicts itself, and no prediction type is given.</exception>
    public string PredictionOf(SingleFileModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (Prediction is null && model.Contradiction is { } contradiction)
            throw new InputException($"{contradiction}. Give the correct one with --prediction epsilon or --prediction v_prediction.");
        return Prediction ?? (model.PredictsVelocity == false ? "epsilon" : "v_prediction");
    }
}

/// <summary>Converts a checkpoint in the original layout to a diffusers folder, one tensor at a time.</summary>
public static class SingleFileConversion
{
    /// <summary>Converts a file.</summary>
    /// <param name="path">Safetensors file.</param>
    /// <param name="folder">Output folder, created atomically.</param>
    /// <param name="options">Conversion options.</param>
    /// <returns>Contents of the file.</returns>
    /// <exception cref="InputException">The file is not a supported model, or a weight exceeds the range of float16.</exception>
    /// <exception cref="UsageException">The tokenizer folder does not fit the model.</exception>
    public static SingleFileModel Convert(string path, string folder, SingleFileOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        SingleFileModel model;
        using (var file = SafetensorsFile.Open(path))
            model = SingleFileModel.Read(file, path);
        _ = options.PredictionOf(model);
        var tokenizers = Tokenizers(model, options.Tokenizer);
        // Stable Diffusion 2 networks with epsilon prediction are the 512-pixel ones.
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
        // The file is reopened for each component, so that mapped pages of earlier ones are released.
        using var file = SafetensorsFile.Open(path);
        WeightShards.Write(
            folder,
            component.Library == "diffusers" ? WeightFiles.Stem : WeightFiles.TransformersStem,
            WeightTypes.Lazily(new RenamedTensors(file, component.Keys), options.DType),
            options.MaxShardSize
        );
        AtomicFile.WriteText(Path.Combine(folder, ComponentFolder.ConfigName), ConfigDocument.Create(component.Config).Text);
    }

    private static List<(string Name, string? From)> Tokenizers(SingleFileModel model, string? given)
    {
        string[] names = model.Kind == SingleFileKind.StableDiffusionXl ? ["tokenizer", "tokenizer_2"] : ["tokenizer"];
        if (given is null)
            return [.. names.Select(static n => (n, (string?)null))];
        if (!Directory.Exists(given))
            throw new UsageException($"--tokenizer: the folder '{given}' does not exist.");
        if (names.All(n => Directory.Exists(Path.Combine(given, n))))
            return [.. names.Select(n => (n, (string?)Path.Combine(given, n)))];
        if (names.Length == 1 && File.Exists(Path.Combine(given, "vocab.json")) && File.Exists(Path.Combine(given, "merges.txt")))
            return [(names[0], given)];
        throw new UsageException(
            $"--tokenizer: '{given}' has no "
                + $"{string.Join(" and ", names.Select(static n => n + "/"))}"
                + $"{(names.Length == 1 ? " and is not a tokenizer itself (vocab.json, merges.txt)" : "; the two differ in their padding")}"
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
        json["steps_offset"] = model.ZeroTerminalSnr ? 0 : 1;
        // With zero terminal SNR sampling must start at the last timestep (Lin et al. 2024, section 3.3).
        if (model.ZeroTerminalSnr)
            json["rescale_betas_zero_snr"] = true;
        json["timestep_spacing"] = model.ZeroTerminalSnr ? "trailing" : "leading";
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
        // Optional components that diffusers expects in the index.
        foreach (
            var absent in isXl ? (string[])["feature_extractor", "image_encoder"] : ["feature_extractor", "image_encoder", "safety_checker"]
        )
            entries[absent] = [null, null];
        foreach (var (name, entry) in entries)
            json[name] = entry;
        return json;
    }
}
