using Retouch.Images;

namespace Retouch.Training;

/// <summary>Sample grid of a training run, from the current weights and fixed seeds.</summary>
public interface ISampleGrid
{
    /// <summary>Draws the grid.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    Picture Draw(CancellationToken cancellation);
}
