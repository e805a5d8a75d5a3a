using Retouch.Torch;

namespace Retouch.Perception;

/// <summary>Distance of two pictures in the feature space of a frozen network; differentiable.</summary>
public interface IPerceptualDistance : IDisposable
{
    /// <summary>Network of the features, for the summary of a run.</summary>
    string Description { get; }

    /// <summary>Distance of each pair, at least 0, and 0 for equal pictures; differentiable with respect to both.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1], on the network's device.</param>
    /// <param name="reference">The same shape.</param>
    /// <returns>[batch].</returns>
    /// <exception cref="Core.Errors.UsageException">The pictures are smaller than the network's smallest input.</exception>
    Tensor Distances(Tensor images, Tensor reference);
}
