using System.Text.Json.Nodes;
using Retouch.Conditioning.Clip;
using Retouch.Conditioning.Tokenizers;
using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Evaluation.Features;

/// <summary>Settings of CLIPScore.</summary>
/// <param name="Model">Name of the model's folder.</param>
/// <param name="Sha256">SHA-256 of its weights, lower-case hexadecimal.</param>
/// <param name="Formula">Formula of the score.</param>
/// <param name="Captions">Tokenisation of captions.</param>
public sealed record ClipScoreProtocol(string Model, string Sha256, string Formula, string Captions);

/// <summary>
/// CLIPScore (Hessel, Holtzman, Forbes, Le Bras and Choi, "CLIPScore: A Reference-free Evaluation Metric for Image Captioning", 2021, eq.
/// 1): similarity of the CLIP embeddings of a picture and its caption. The score is 100 · max(cos, 0) with the unchanged prompt, the usual
/// convention for generated pictures; the paper's is 2.5 · max(cos, 0) with the prefix "A photo depicts".
/// </summary>
public sealed class ClipScore : IDisposable
{
    private const double Scale = 100;

    private readonly ClipFeatures _images;
    private readonly ClipTextModel _text;
    private readonly ITextTokenizer _tokenizer;
    private readonly Device _device;

    private ClipScore(ClipFeatures images, ClipTextModel text, ITextTokenizer tokenizer, Device device)
    {
        (_images, _text, _tokenizer, _device) = (images, text, tokenizer, device);
        Protocol = new(
            images.Protocol.Weights,
            images.Protocol.Sha256,
            "100 max(cos, 0)",
            $"as they are, cut to {text.Config.MaxPositionEmbeddings} tokens; {images.Protocol.Preparation}"
        );
    }

    /// <summary>Settings that determine the score.</summary>
    public ClipScoreProtocol Protocol { get; }

    /// <summary>Opens both encoders and the tokenizer of a folder.</summary>
    /// <param name="folder">Folder of transformers' <c>CLIPModel</c>: <c>config.json</c>, <c>model.safetensors</c>, and <c>vocab.json</c>
    /// with
    /// <c>merges.txt</c> (or <c>tokenizer.json</c>).</param>
    /// <param name="device">Device of both encoders.</param>
    /// <exception cref="InputException">A file is missing or damaged, or the folder contains another model, such as an image encoder
    /// without a text encoder.</exception>
    public static ClipScore Open(string folder, Device device)
    {
        var encoder = ClipFeatures.Open(folder, device);
        ClipTextModel? model = null;
        try
        {
            var file = Path.Combine(folder, "config.json");
            var whole = ClipFeatures.ReadConfig(file);
            if (whole["text_config"] is not JsonObject part)
                throw new InputException(
                    $"'{file}' has no text encoder; clipscore requires a complete CLIP model with its tokenizer. Give a folder "
                        + $"of transformers' CLIPModel."
                );
            var members = (JsonObject)part.DeepClone();
            members["projection_dim"] = encoder.Protocol.Width;
            members["architectures"] = new JsonArray(ClipTextConfig.ProjectionClass);
            model = new ClipTextModel(ClipTextConfig.FromJson(members, file));
            using var weights = WeightFiles.Open(folder, stem: WeightFiles.TransformersStem);
            model.Parameters.Load(ClipFeatures.PartOf(weights, "text_model.", "text_projection."), device, DType.Float32, folder);
            model.Parameters.RequireGrad(false);
            var words = TokenizerFolder.Read(folder);
            if (words.VocabularySize > model.Config.VocabSize)
                throw new InputException(
                    $"The tokenizer in '{folder}' has {words.VocabularySize} tokens, the text encoder {model.Config.VocabSize}. "
                        + $"Both must belong to the same model."
                );
            return new ClipScore(encoder, model, words, device);
        }
        catch
        {
            model?.Dispose();
            encoder.Dispose();
            throw;
        }
    }

    /// <summary>CLIPScore of each picture with its caption, 0 to 100.</summary>
    /// <param name="pictures">[batch, 3, height, width] in [0, 1].</param>
    /// <param name="captions">One caption per picture.</param>
    /// <returns>[batch].</returns>
    public double[] Of(Tensor pictures, IReadOnlyList<string> captions)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        ArgumentNullException.ThrowIfNull(captions);
        if (pictures.Shape[0] != captions.Count)
            throw new ArgumentException($"{captions.Count} captions for {pictures.Shape[0]} pictures.", nameof(captions));
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var tokens = TokenBatch.Create(_tokenizer, captions, _text.Config.MaxPositionEmbeddings, _device, "CLIP");
        var (x, y) = (Unit(_images.Extract(pictures)), Unit(_text.Forward(tokens.Ids).Projected!));
        return ((x * y).Sum([1L]).ClampMin(0) * Scale).ToArray<double>();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _images.Dispose();
        _text.Dispose();
    }

    private static Tensor Unit(Tensor rows)
    {
        var x = rows.To(DType.Float64);
        return x / x.Square().Sum([1L], keepdim: true).Sqrt();
    }
}
