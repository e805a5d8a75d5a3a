using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Conditioning;

/// <summary>Input checks common to text encoders.</summary>
internal static class TokenInputs
{
    /// <summary>Validates token ids and mask.</summary>
    /// <param name="encoder">Encoder name for error messages.</param>
    /// <param name="ids">Token ids, int64 [batch, tokens].</param>
    /// <param name="mask">Integer mask of the same shape, or null.</param>
    /// <param name="vocabulary">Number of ids with an embedding.</param>
    /// <param name="longest">Maximum number of tokens, or null.</param>
    /// <exception cref="InputException">The shape or dtype is wrong, there are too many tokens, or an id is out of range.</exception>
    public static void Check(string encoder, Tensor ids, Tensor? mask, int vocabulary, int? longest)
    {
        var shape = ids.Shape;
        if (shape.Length != 2 || shape[0] < 1 || shape[1] < 1 || ids.DType != DType.Int64)
            throw new InputException($"{encoder} takes token ids, int64 [batch, tokens], not {ids.DType} [{string.Join(", ", shape)}].");
        if (shape[1] > longest)
            throw new InputException($"{encoder} takes at most {longest} tokens (max_position_embeddings), not {shape[1]}.");
        if (mask is not null && (!mask.Shape.AsSpan().SequenceEqual(shape) || mask.DType.IsFloatingPoint()))
            throw new InputException(
                $"{encoder} takes an integer mask of the ids' shape, [{string.Join(", ", shape)}], not {mask.DType} "
                    + $"[{string.Join(", ", mask.Shape)}]."
            );
        // On an accelerator this check would synchronise with the device; ids come from a tokenizer whose vocabulary size is checked.
        if (ids.Device.Type == DeviceType.Cpu && Array.FindIndex(ids.ToArray<long>(), id => id < 0 || id >= vocabulary) is var at and >= 0)
            throw new InputException(
                $"{encoder} has embeddings for ids 0 to {vocabulary - 1}; token {at % shape[1]} of prompt {at / shape[1]} is out of "
                    + $"range. The tokenizer belongs to another model."
            );
    }
}
