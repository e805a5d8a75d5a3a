using Retouch.Conditioning.Clip;
using Retouch.Conditioning.T5;
using Retouch.Conditioning.Tokenizers;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Conditioning.Prompts;

/// <summary>One of CLIP's text encoders with its tokenizer.</summary>
public sealed class ClipTower
{
    private readonly ITextTokenizer _tokenizer;
    private readonly string _name;

    /// <param name="model">The encoder; it stays the caller's.</param>
    /// <param name="tokenizer">The tokenizer that it was trained with.</param>
    /// <param name="name">The encoder's folder, for messages about prompts that were cut.</param>
    /// <exception cref="InputException">The tokenizer has ids that the encoder does not know.</exception>
    public ClipTower(ClipTextModel model, ITextTokenizer tokenizer, string name = "text_encoder")
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        (Model, _tokenizer, _name) = (model, tokenizer, name);
        Vocabularies.Check(name, tokenizer.VocabularySize, model.Config.VocabSize);
        Tokens = Math.Min(tokenizer.MaxLength, model.Config.MaxPositionEmbeddings);
    }

    /// <summary>The encoder.</summary>
    public ClipTextModel Model { get; }

    /// <summary>Tokens of every prompt.</summary>
    public int Tokens { get; }

    /// <summary>Encodes prompts without gradients.</summary>
    /// <param name="prompts">At least one.</param>
    /// <param name="skip">Which layer's output is handed out as well; see <see cref="ClipTextModel.Forward"/>.</param>
    /// <param name="cut">Prompts that did not fit are added here.</param>
    internal ClipTextOutput Encode(IReadOnlyList<string> prompts, int? skip, List<CutPrompt> cut)
    {
        using var quiet = Autograd.NoGrad();
        var batch = TokenBatch.Create(_tokenizer, prompts, Tokens, Model.Device, _name);
        cut.AddRange(batch.Cut);
        return Model.Forward(batch.Ids, Model.Config.UseAttentionMask ? batch.Mask : null, skip);
    }
}

/// <summary>T5's encoder with its tokenizer.</summary>
public sealed class T5Tower
{
    private readonly ITextTokenizer _tokenizer;
    private readonly string _name;

    /// <param name="model">The encoder; it stays the caller's.</param>
    /// <param name="tokenizer">The tokenizer that it was trained with.</param>
    /// <param name="name">The encoder's folder, for messages about prompts that were cut.</param>
    /// <exception cref="InputException">The tokenizer has ids that the encoder does not know.</exception>
    public T5Tower(T5Encoder model, ITextTokenizer tokenizer, string name = "text_encoder")
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        (Model, _tokenizer, _name) = (model, tokenizer, name);
        Vocabularies.Check(name, tokenizer.VocabularySize, model.Config.VocabSize);
    }

    /// <summary>The encoder.</summary>
    public T5Encoder Model { get; }

    /// <summary>Encodes prompts without gradients.</summary>
    /// <param name="prompts">At least one.</param>
    /// <param name="tokens">Tokens of every prompt.</param>
    /// <param name="masked">Whether the encoder is shown which tokens are padding.</param>
    /// <param name="cut">Prompts that did not fit are added here.</param>
    /// <returns>[prompts, tokens, width], and the mask.</returns>
    internal (Tensor States, Tensor Mask) Encode(IReadOnlyList<string> prompts, int tokens, bool masked, List<CutPrompt> cut)
    {
        using var quiet = Autograd.NoGrad();
        var batch = TokenBatch.Create(_tokenizer, prompts, tokens, Model.Device, _name);
        cut.AddRange(batch.Cut);
        return (Model.Forward(batch.Ids, masked ? batch.Mask : null), batch.Mask);
    }
}

/// <summary>Whether a tokenizer belongs to an encoder.</summary>
internal static class Vocabularies
{
    public static void Check(string name, int tokenizer, int encoder)
    {
        if (tokenizer > encoder)
            throw new InputException(
                $"The tokenizer of {name} has {tokenizer} ids, its encoder knows {encoder} (vocab_size): they do not belong together."
            );
    }
}
