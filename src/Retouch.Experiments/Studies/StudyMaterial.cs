using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Scenes;
using Retouch.Evaluation.Reports;
using Retouch.Experiments.Demo;
using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Experiments.Studies;

/// <summary>Model and pictures of a study.</summary>
public sealed class StudyMaterial : IDisposable
{
    private readonly IDisposable _owner;
    private readonly string _model;
    private readonly string _pictures;

    private StudyMaterial(
        IDisposable owner,
        IAutoencoder autoencoder,
        LatentDiffusionPipeline? pipeline,
        Tensor images,
        IReadOnlyList<int?> labels,
        Device device,
        string model,
        string told
    ) =>
        (_owner, Autoencoder, Pipeline, Images, Labels, Device, _model, _pictures) = (
            owner,
            autoencoder,
            pipeline,
            images,
            labels,
            device,
            model,
            told
        );

    /// <summary>Autoencoder.</summary>
    public IAutoencoder Autoencoder { get; }

    /// <summary>Pipeline, if the study needs one.</summary>
    public LatentDiffusionPipeline? Pipeline { get; }

    /// <summary>[pictures, 3, side, side] in [−1, 1], on the CPU.</summary>
    public Tensor Images { get; }

    /// <summary>Class of each picture, if any.</summary>
    public IReadOnlyList<int?> Labels { get; }

    /// <summary>Device of the computation.</summary>
    public Device Device { get; }

    /// <summary>Subtitle: model and pictures.</summary>
    public string Subtitle => $"{_model}; {Images.Shape[0]} pictures of {Images.Shape[3]} pixels";

    /// <summary>Protocol: model, pictures, and further entries.</summary>
    public KeyValues Protocol(IReadOnlyList<KeyValuePair<string, string>> more) =>
        new(
            null,
            [
                new("Model", _model),
                new("Autoencoder", $"{Autoencoder.GetType().Name}, downsampling {Autoencoder.Downsampling}; latents are posterior means"),
                new("Pictures", _pictures),
                .. more,
            ]
        );

    /// <summary>Reads model and pictures.</summary>
    public static StudyMaterial Open(string? model, string? data, int size, int count, ulong seed, Device device, bool needsDenoiser)
    {
        var path = model ?? DemoRecipes.Model();
        IPictureSource source = data is null ? new ProceduralScenes(seed, size, count, SceneSplit.Validation) : ImageFolder.Open(data);
        var framing = new Framing { Width = size, Height = size };
        // Equidistant pictures, so that all classes occur.
        int[] taken =
        [
            .. Enumerable
                .Range(0, Math.Min(count, source.Count))
                .Select(k => (int)((long)k * source.Count / Math.Min(count, source.Count))),
        ];
        Picture[] pictures = [.. taken.Select(k => framing.Apply(source.Load(k, framing.MinSide), seed, source[k].Id).Picture)];
        var (shown, told) = (
            model ?? "the demo's model",
            data is null
                ? $"{pictures.Length} procedural scenes of {size} pixels, seed {seed}"
                : $"{pictures.Length} of {source.Count} of {data}, equidistant; shorter side resized to {size} with Pillow's Lanczos "
                    + $"filter, centre crop"
        );
        if (needsDenoiser || File.Exists(Path.Combine(path, PipelineLayout.IndexName)))
        {
            var pipeline = LatentDiffusionPipeline.Load(path, device);
            return new StudyMaterial(
                pipeline,
                pipeline.Autoencoder,
                pipeline,
                Keep(pictures),
                [.. taken.Select(k => source[k].Label)],
                device,
                shown,
                told
            );
        }

        var component = ComponentFolder.Load(path, device);
        if (component.Network is not IAutoencoder autoencoder)
            throw new InputException($"'{path}' is a {component.ClassName}, not a pipeline or an autoencoder.");
        return new StudyMaterial(
            component,
            autoencoder,
            null,
            Keep(pictures),
            [.. taken.Select(k => source[k].Label)],
            device,
            shown,
            told
        );
    }

    /// <summary>Condition of each picture.</summary>
    /// <exception cref="InputException">The denoiser needs classes and the pictures have none.</exception>
    public Condition Condition()
    {
        if (Pipeline!.Denoiser.ClassCount is not { } classes)
            return new Condition();
        if (Labels.Contains(null))
            throw new InputException(
                $"The denoiser is conditional on {classes} classes, but at least one picture has no class. Put pictures into class "
                    + $"subfolders or give labels in metadata.jsonl."
            );
        if (Labels.Max() is { } last && last >= classes)
            throw new InputException(
                $"The denoiser has classes 0 to {classes - 1}, but a picture has class {last}. Give pictures of the "
                    + $"classes that the model was trained on, or a model that was trained on these."
            );
        return new Condition(Tensor.From(Labels.Select(static label => (long)label!.Value).ToArray()));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Images.Dispose();
        _owner.Dispose();
    }

    private static Tensor Keep(IReadOnlyList<Picture> pictures)
    {
        using var scope = TensorScope.Enter();
        return PictureTensors.ToTensor(pictures).Escape();
    }
}
