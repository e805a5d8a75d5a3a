using Retouch.Images;

namespace Retouch.Training;

/// <summary>Sample grid of a training run, from the current weights and fixed seeds.</summary>
public interface ISampleGrid
{
    /// <summary>Whether all processes of a run draw the grid together: each must call <see cref="Draw"/>.</summary>
    bool IsShared => false;

    /// <summary>Draws the grid.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    Picture Draw(CancellationToken cancellation);
}
