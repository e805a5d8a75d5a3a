using Retouch.Images;

namespace Retouch.Training;

/// <summary>Pictures that show where a training stands, from the present weights and fixed seeds.</summary>
public interface ISampleGrid
{
    /// <summary>Draws them.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    Picture Draw(CancellationToken cancellation);
}
