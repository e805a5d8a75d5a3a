using Retouch.Torch;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>A prompt as a text encoder takes it.</summary>
/// <param name="Ids">Token ids: content between markers, padded to the length asked for.</param>
/// <param name="Count">How many of them come before the padding.</param>
/// <param name="Dropped">What did not fit, as text; null where all did.</param>
public sealed record TokenSequence(IReadOnlyList<int> Ids, int Count, string? Dropped);

/// <summary>Turns prompts into token ids. It holds no state and may be used by several threads at once.</summary>
public interface ITextTokenizer
{
    /// <summary>Tokens that the encoder was made for, markers included (<c>model_max_length</c>).</summary>
    int MaxLength { get; }

    /// <summary>The largest id and one.</summary>
    int VocabularySize { get; }

    /// <summary>Cuts or pads a prompt to a number of tokens.</summary>
    /// <param name="text">The prompt; empty for none.</param>
    /// <param name="length">Ids that come out, markers included.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length leaves no room for the markers.</exception>
    TokenSequence Encode(string text, int length);
}

/// <summary>A prompt that was longer than its encoder takes.</summary>
/// <param name="Prompt">Its number in the batch, from 0.</param>
/// <param name="Encoder">Which encoder cut it.</param>
/// <param name="Dropped">What was cut off.</param>
public sealed record CutPrompt(int Prompt, string Encoder, string Dropped);

/// <summary>Prompts as tensors. The tensors belong to the scope that was open.</summary>
/// <param name="Ids">int64 [prompts, length].</param>
/// <param name="Mask">int64 [prompts, length]: 1 for tokens, 0 for padding.</param>
/// <param name="Cut">The prompts that did not fit.</param>
public sealed record TokenBatch(Tensor Ids, Tensor Mask, IReadOnlyList<CutPrompt> Cut)
{
    /// <summary>Tokenizes prompts to a common length.</summary>
    /// <param name="tokenizer">What turns them into ids.</param>
    /// <param name="prompts">At least one.</param>
    /// <param name="length">Tokens of each.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <param name="encoder">The encoder's name, for <see cref="Cut"/>.</param>
    /// <exception cref="ArgumentException">There are no prompts.</exception>
    public static TokenBatch Create(ITextTokenizer tokenizer, IReadOnlyList<string> prompts, int length, Device device, string encoder)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(prompts);
        if (prompts.Count == 0)
            throw new ArgumentException("At least one prompt is needed; an empty text is one.", nameof(prompts));
        var (ids, mask) = (new long[checked(prompts.Count * length)], new long[prompts.Count * length]);
        var cut = new List<CutPrompt>();
        for (var k = 0; k < prompts.Count; k++)
        {
            var sequence = tokenizer.Encode(prompts[k], length);
            for (var i = 0; i < length; i++)
                ids[(k * length) + i] = sequence.Ids[i];
            mask.AsSpan(k * length, sequence.Count).Fill(1);
            if (sequence.Dropped is not null)
                cut.Add(new CutPrompt(k, encoder, sequence.Dropped));
        }

        using var scope = TensorScope.Enter();
        return new TokenBatch(
            scope.Keep(Tensor.From(ids, prompts.Count, length).To(device)),
            scope.Keep(Tensor.From(mask, prompts.Count, length).To(device)),
            cut
        );
    }
}
