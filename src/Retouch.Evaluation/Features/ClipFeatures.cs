using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Conditioning.Clip;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Images;
using Retouch.Perception;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Evaluation.Features;

/// <summary>
/// CLIP's projected embeddings of pictures (Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021),
/// unnormalised. The Fréchet distance of these embeddings is named <c>fd.clip</c>. The user provides the model: a folder of transformers'
/// <c>CLIPModel</c> or <c>CLIPVisionModelWithProjection</c>.
/// </summary>
public sealed class ClipFeatures : IFeatureExtractor
{
    /// <summary>Key of the network.</summary>
    public const string Key = "clip";

    private readonly ClipVisionModel _model;
    private readonly ClipImageProcessor _processor;
    private readonly Device _device;

    private ClipFeatures(ClipVisionModel model, string name, string hash, Device device)
    {
        _model = model;
        _device = device;
        _processor = new ClipImageProcessor(model.Config.ImageSize);
        Protocol = new(
            Key,
            $"CLIP image encoder, patches of {model.Config.PatchSize}, projected, not normalised",
            model.Config.ProjectionDim,
            $"shorter side to {_processor.Size} by bicubic (Pillow), cut from the middle, CLIP's mean and deviation",
            name,
            hash
        );
    }

    /// <inheritdoc/>
    public FeatureProtocol Protocol { get; }

    /// <summary>Opens the image encoder of a folder.</summary>
    /// <param name="folder">Folder with <c>config.json</c> and <c>model.safetensors</c> (or shards with an index).</param>
    /// <param name="device">Device of the encoder.</param>
    /// <exception cref="InputException">A file is missing or damaged, or belongs to another architecture.</exception>
    public static ClipFeatures Open(string folder, Device device)
    {
        var file = Path.Combine(folder, "config.json");
        var config = ClipVisionConfig.FromJson(VisionMembers(file), file);
        using var weights = WeightFiles.Open(folder, stem: WeightFiles.TransformersStem);
        var hash = Hash([.. weights.Files.Order(StringComparer.Ordinal)]);
        var network = new ClipVisionModel(config);
        try
        {
            network.Parameters.Load(PartOf(weights, "vision_model.", "visual_projection."), device, DType.Float32, folder);
            network.Parameters.RequireGrad(false);
            return new ClipFeatures(network, Path.GetFileName(Path.TrimEndingDirectorySeparator(folder)), hash, device);
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public Tensor Extract(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var pixels = _processor.Process(PictureTensors.ToPictures((images.To(DType.Float32) * 2) - 1));
        return scope.Keep(_model.Forward(pixels.To(_device)).ImageEmbeds);
    }

    /// <inheritdoc/>
    public void Dispose() => _model.Dispose();

    /// <exception cref="InputException">The file is missing or not a JSON object.</exception>
    internal static JsonObject ReadConfig(string file) => JsonFile.Object(file, "Give a folder of transformers' CLIPModel.");

    /// <summary>Tensors of one encoder of a whole model, by the prefixes of its keys.</summary>
    internal static RenamedTensors PartOf(ITensorSource whole, string encoder, string projection) =>
        new(
            whole,
            key => key.StartsWith(encoder, StringComparison.Ordinal) || key.StartsWith(projection, StringComparison.Ordinal) ? key : null
        );

    private static JsonObject VisionMembers(string file)
    {
        var json = ReadConfig(file);
        if (json["vision_config"] is not JsonObject vision)
            return json;
        // The configuration of the whole model contains the embedding's width; those of its parts may not.
        var members = (JsonObject)vision.DeepClone();
        if (json["projection_dim"] is { } width)
            members["projection_dim"] = width.DeepClone();
        return members;
    }

    private static string Hash(string[] files) =>
        files.Length == 1
            ? FeatureWeights.Hash(files[0])
            : Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(string.Concat(files.Select(FeatureWeights.Hash)))));
}
