using Retouch.Conditioning.Clip;
using Retouch.Conditioning.T5;
using Retouch.Conditioning.Tokenizers;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Conditioning.Prompts;

/// <summary>A CLIP text encoder with its tokenizer.</summary>
public sealed class ClipTower
{
    private readonly ITextTokenizer _tokenizer;
    private readonly string _name;

    /// <param name="model">Text encoder; not disposed by this class.</param>
    /// <param name="tokenizer">Tokenizer of the encoder.</param>
    /// <param name="name">Folder name of the encoder, for reports of truncated prompts.</param>
    /// <exception cref="InputException">The tokenizer has ids without an embedding in the encoder.</exception>
    public ClipTower(ClipTextModel model, ITextTokenizer tokenizer, string name = "text_encoder")
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        (Model, _tokenizer, _name) = (model, tokenizer, name);
        Vocabularies.Check(name, tokenizer.VocabularySize, model.Config.VocabSize);
        Tokens = Math.Min(tokenizer.MaxLength, model.Config.MaxPositionEmbeddings);
    }

    /// <summary>Text encoder.</summary>
    public ClipTextModel Model { get; }

    /// <summary>Number of tokens per prompt.</summary>
    public int Tokens { get; }

    /// <summary>Encodes prompts without gradients.</summary>
    /// <param name="prompts">At least one prompt.</param>
    /// <param name="skip">Layer output to return as well; see <see cref="ClipTextModel.Forward"/>.</param>
    /// <param name="cut">Receives the truncated prompts.</param>
    internal ClipTextOutput Encode(IReadOnlyList<string> prompts, int? skip, List<CutPrompt> cut)
    {
        using var quiet = Autograd.NoGrad();
        var batch = TokenBatch.Create(_tokenizer, prompts, Tokens, Model.Device, _name);
        cut.AddRange(batch.Cut);
        return Model.Forward(batch.Ids, Model.Config.UseAttentionMask ? batch.Mask : null, skip);
    }
}

/// <summary>A T5 encoder with its tokenizer.</summary>
public sealed class T5Tower
{
    private readonly ITextTokenizer _tokenizer;
    private readonly string _name;

    /// <param name="model">Text encoder; not disposed by this class.</param>
    /// <param name="tokenizer">Tokenizer of the encoder.</param>
    /// <param name="name">Folder name of the encoder, for reports of truncated prompts.</param>
    /// <exception cref="InputException">The tokenizer has ids without an embedding in the encoder.</exception>
    public T5Tower(T5Encoder model, ITextTokenizer tokenizer, string name = "text_encoder")
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        (Model, _tokenizer, _name) = (model, tokenizer, name);
        Vocabularies.Check(name, tokenizer.VocabularySize, model.Config.VocabSize);
    }

    /// <summary>Text encoder.</summary>
    public T5Encoder Model { get; }

    /// <summary>Encodes prompts without gradients.</summary>
    /// <param name="prompts">At least one prompt.</param>
    /// <param name="tokens">Number of tokens per prompt.</param>
    /// <param name="masked">Whether to pass the padding mask to the encoder.</param>
    /// <param name="cut">Receives the truncated prompts.</param>
    /// <returns>Hidden states [prompts, tokens, width] and padding mask [prompts, tokens].</returns>
    internal (Tensor States, Tensor Mask) Encode(IReadOnlyList<string> prompts, int tokens, bool masked, List<CutPrompt> cut)
    {
        using var quiet = Autograd.NoGrad();
        var batch = TokenBatch.Create(_tokenizer, prompts, tokens, Model.Device, _name);
        cut.AddRange(batch.Cut);
        return (Model.Forward(batch.Ids, masked ? batch.Mask : null), batch.Mask);
    }
}

/// <summary>Compatibility check of tokenizer and encoder.</summary>
internal static class Vocabularies
{
    public static void Check(string name, int tokenizer, int encoder)
    {
        if (tokenizer > encoder)
            throw new InputException(
                $"The tokenizer of {name} has {tokenizer} ids, but its encoder has {encoder} (vocab_size): they do not belong together."
            );
    }
}
