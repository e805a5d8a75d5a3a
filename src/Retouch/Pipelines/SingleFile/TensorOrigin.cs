using Retouch.Torch;

namespace Retouch.Pipelines.SingleFile;

/// <summary>How a tensor of the original layout becomes one of diffusers'.</summary>
public enum TensorForm
{
    /// <summary>As it is.</summary>
    Same,

    /// <summary>A 1×1 convolution [out, in, 1, 1] becomes a linear layer [out, in].</summary>
    Linear,

    /// <summary>Rows and columns change places.</summary>
    Transposed,

    /// <summary>The first third of the rows: queries, where they stand above keys and values.</summary>
    Query,

    /// <summary>The second third.</summary>
    Key,

    /// <summary>The last third.</summary>
    Value,
}

/// <summary>Where a tensor of a diffusers component stands in a file of the original layout.</summary>
/// <param name="Key">Its key there.</param>
/// <param name="Form">What has to be done to it.</param>
public sealed record TensorOrigin(string Key, TensorForm Form = TensorForm.Same)
{
    /// <summary>The shape that results from a stored one, or null where the form does not fit it.</summary>
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

    /// <summary>Makes the tensor from the stored one; it may share its memory.</summary>
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
