namespace Retouch.Torch.Nn;

/// <summary>Weights of a block that are in this process only while they are held, apart from its own share.</summary>
public interface IBlockWeights
{
    /// <summary>
    /// Collects the weights from the processes that have them, until the result is disposed. All processes must call it, in the same order.
    /// </summary>
    IDisposable Hold();
}
