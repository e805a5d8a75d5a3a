using Retouch.Torch;

namespace Retouch.Pipelines.SingleFile;

/// <summary>Transformation of a tensor from the original layout to diffusers.</summary>
public enum TensorForm
{
    /// <summary>Unchanged.</summary>
    Same,

    /// <summary>A 1×1 convolution [out, in, 1, 1] becomes a linear layer [out, in].</summary>
    Linear,

    /// <summary>Transposed matrix.</summary>
    Transposed,

    /// <summary>First third of the rows: the query part of a fused query-key-value weight.</summary>
    Query,

    /// <summary>Second third: the key part.</summary>
    Key,

    /// <summary>Last third: the value part.</summary>
    Value,
}

/// <summary>Origin of a diffusers tensor in a file of the original layout.</summary>
/// <param name="Key">Original key.</param>
/// <param name="Form">Transformation to apply.</param>
public sealed record TensorOrigin(string Key, TensorForm Form = TensorForm.Same)
{
    /// <summary>Resulting shape for a stored shape, or null if the transformation does not apply.</summary>
    public long[]? ShapeFrom(long[] stored)
    {
        ArgumentNullException.ThrowIfNull(stored);
        return Form switch
        {
            TensorForm.Same => stored,
            TensorForm.Linear => stored is [_, _, 1, 1] ? stored[..2]
            : stored.Length == 2 ? stored
            : null,
            TensorForm.Transposed => stored is [var rows, var columns] ? [columns, rows] : null,
            _ => stored.Length > 0 && stored[0] % 3 == 0 ? [stored[0] / 3, .. stored[1..]] : null,
        };
    }

    /// <summary>Transforms the stored tensor; the result may share its memory.</summary>
    public Tensor Apply(Tensor stored)
    {
        ArgumentNullException.ThrowIfNull(stored);
        return Form switch
        {
            TensorForm.Linear => stored.Reshape(ShapeFrom(stored.Shape)!),
            TensorForm.Transposed => stored.T().Contiguous(),
            TensorForm.Query => stored.Chunk(3)[0],
            TensorForm.Key => stored.Chunk(3)[1],
            TensorForm.Value => stored.Chunk(3)[2],
            _ => stored,
        };
    }
}
