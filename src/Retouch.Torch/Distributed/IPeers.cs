namespace Retouch.Torch.Distributed;

/// <summary>Processes that share work, this one among them. All of them must call the same operations in the same order.</summary>
public interface IPeers
{
    /// <summary>Number of this process, from 0.</summary>
    int Rank { get; }

    /// <summary>Number of processes.</summary>
    int Size { get; }

    /// <summary>Whether this process is rank 0.</summary>
    bool IsMain { get; }

    /// <summary>States what this process does now, for the messages of others that wait for it.</summary>
    /// <param name="phase">Phase, as part of a sentence.</param>
    void Enter(string phase);

    /// <summary>Waits for rank 0 without a time limit, then for all processes.</summary>
    /// <param name="what">Next work, for messages.</param>
    /// <exception cref="Core.Errors.EnvironmentException">Another process has failed, ended, or is late.</exception>
    void AwaitMain(string what);

    /// <summary>The tensors of all processes by rank, of the same shape and type.</summary>
    /// <param name="what">Work, for messages.</param>
    /// <param name="tensor">Tensor of this process.</param>
    /// <exception cref="Core.Errors.EnvironmentException">Another process has failed, ended, or is late.</exception>
    Tensor[] Gather(string what, Tensor tensor);
}
