using Retouch.Torch;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>Token ids of a prompt.</summary>
/// <param name="Ids">Token ids with special tokens, padded to the requested length.</param>
/// <param name="Count">Number of ids before the padding.</param>
/// <param name="Dropped">Text that was truncated, or null.</param>
public sealed record TokenSequence(IReadOnlyList<int> Ids, int Count, string? Dropped);

/// <summary>Converts prompts to token ids. Implementations are stateless and thread-safe.</summary>
public interface ITextTokenizer
{
    /// <summary>Maximum number of tokens, special tokens included (<c>model_max_length</c>).</summary>
    int MaxLength { get; }

    /// <summary>Largest id plus one.</summary>
    int VocabularySize { get; }

    /// <summary>Tokenizes a prompt, truncated or padded to a fixed length.</summary>
    /// <param name="text">The prompt; can be empty.</param>
    /// <param name="length">Number of ids, special tokens included.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length has no room for the special tokens.</exception>
    TokenSequence Encode(string text, int length);
}

/// <summary>A truncated prompt.</summary>
/// <param name="Prompt">0-based index in the batch.</param>
/// <param name="Encoder">Name of the encoder.</param>
/// <param name="Dropped">Text that was truncated.</param>
public sealed record CutPrompt(int Prompt, string Encoder, string Dropped);

/// <summary>Tokenized prompts. The tensors belong to the enclosing scope.</summary>
/// <param name="Ids">int64 [prompts, length].</param>
/// <param name="Mask">Padding mask, int64 [prompts, length]: 1 for tokens, 0 for padding.</param>
/// <param name="Cut">Truncated prompts.</param>
public sealed record TokenBatch(Tensor Ids, Tensor Mask, IReadOnlyList<CutPrompt> Cut)
{
    /// <summary>Tokenizes prompts to a common length.</summary>
    /// <param name="tokenizer">Tokenizer.</param>
    /// <param name="prompts">At least one prompt.</param>
    /// <param name="length">Number of tokens per prompt.</param>
    /// <param name="device">Device of the tensors.</param>
    /// <param name="encoder">Encoder name for <see cref="Cut"/>.</param>
    /// <exception cref="ArgumentException">There are no prompts.</exception>
    public static TokenBatch Create(ITextTokenizer tokenizer, IReadOnlyList<string> prompts, int length, Device device, string encoder)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(prompts);
        if (prompts.Count == 0)
            throw new ArgumentException("At least one prompt is needed; it can be empty.", nameof(prompts));
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
