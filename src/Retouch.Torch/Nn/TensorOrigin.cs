namespace Retouch.Torch.Nn;

/// <summary>Transformation of a stored tensor to the requested one.</summary>
public enum TensorForm
{
    /// <summary>Unchanged.</summary>
    Same,

    /// <summary>A 1×1 convolution [out, in, 1, 1] becomes a linear layer [out, in]; a matrix is unchanged.</summary>
    Linear,

    /// <summary>A linear layer [out, in] becomes a 1×1 convolution [out, in, 1, 1]; a convolution is unchanged.</summary>
    Convolution,

    /// <summary>Transposed matrix.</summary>
    Transposed,

    /// <summary>First third of the rows: the query part of a fused query-key-value weight.</summary>
    Query,

    /// <summary>Second third: the key part.</summary>
    Key,

    /// <summary>Last third: the value part.</summary>
    Value,
}

/// <summary>Origin of a tensor in a checkpoint.</summary>
/// <param name="Key">Stored key.</param>
/// <param name="Form">Transformation to apply.</param>
public sealed record TensorOrigin(string Key, TensorForm Form = TensorForm.Same)
{
    /// <summary>Whether the transformed tensor has all elements in the stored order.</summary>
    internal bool KeepsElements => Form is TensorForm.Same or TensorForm.Linear or TensorForm.Convolution;

    /// <summary>Resulting shape for a stored shape, or null if the transformation does not apply.</summary>
    public long[]? ShapeFrom(long[] stored)
    {
        ArgumentNullException.ThrowIfNull(stored);
        return (Form, stored) switch
        {
            (TensorForm.Same, _) or (TensorForm.Linear, [_, _]) or (TensorForm.Convolution, [_, _, _, _]) => stored,
            (TensorForm.Linear, [_, _, 1, 1]) => stored[..2],
            (TensorForm.Convolution, [_, _]) => [.. stored, 1, 1],
            (TensorForm.Transposed, [var rows, var columns]) => [columns, rows],
            (TensorForm.Query or TensorForm.Key or TensorForm.Value, [var rows, ..]) when rows % 3 == 0 => [rows / 3, .. stored[1..]],
            _ => null,
        };
    }

    /// <summary>Transforms the stored tensor; the result may share its memory.</summary>
    public Tensor Apply(Tensor stored)
    {
        ArgumentNullException.ThrowIfNull(stored);
        return Form switch
        {
            TensorForm.Linear or TensorForm.Convolution => stored.Reshape(ShapeFrom(stored.Shape)!),
            TensorForm.Transposed => stored.T().Contiguous(),
            TensorForm.Query => stored.Chunk(3)[0],
            TensorForm.Key => stored.Chunk(3)[1],
            TensorForm.Value => stored.Chunk(3)[2],
            _ => stored,
        };
    }
}
