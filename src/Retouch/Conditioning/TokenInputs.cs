using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Conditioning;

/// <summary>Checks of what a text encoder is given.</summary>
internal static class TokenInputs
{
    /// <summary>Refuses ids and masks that do not fit.</summary>
    /// <param name="encoder">Its name, for messages.</param>
    /// <param name="ids">int64 [batch, tokens].</param>
    /// <param name="mask">int64 of the same shape, or null.</param>
    /// <param name="vocabulary">Number of ids that have an embedding.</param>
    /// <param name="longest">Most tokens, or null.</param>
    /// <exception cref="InputException">Another shape or type, too many tokens, or an id beyond the vocabulary.</exception>
    public static void Check(string encoder, Tensor ids, Tensor? mask, int vocabulary, int? longest)
    {
        var shape = ids.Shape;
        if (shape.Length != 2 || shape[0] < 1 || shape[1] < 1 || ids.DType != DType.Int64)
            throw new InputException(
                $"{encoder} takes token ids, int64 [batch, tokens]; these are {ids.DType} [{string.Join(", ", shape)}]."
            );
        if (shape[1] > longest)
            throw new InputException($"{encoder} takes at most {longest} tokens (max_position_embeddings); these are {shape[1]}.");
        if (mask is not null && (!mask.Shape.AsSpan().SequenceEqual(shape) || mask.DType.IsFloatingPoint()))
            throw new InputException(
                $"{encoder} takes a mask of integers shaped as the ids, [{string.Join(", ", shape)}]; this is {mask.DType} "
                    + $"[{string.Join(", ", mask.Shape)}]."
            );
        // On an accelerator the check would wait for the device; ids come from a tokenizer, whose vocabulary was compared with the
        // network's.
        if (ids.Device.Type == DeviceType.Cpu && Array.FindIndex(ids.ToArray<long>(), id => id < 0 || id >= vocabulary) is var at and >= 0)
            throw new InputException(
                $"{encoder} has embeddings for the ids 0 to {vocabulary - 1}; token {at % shape[1]} of prompt {at / shape[1]} has "
                    + $"another. The tokenizer belongs to another model."
            );
    }
}
