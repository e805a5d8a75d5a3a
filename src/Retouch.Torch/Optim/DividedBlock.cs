using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>
/// A block whose weights are divided among processes (ZeRO stage 3, Rajbhandari et al. 2020): each process keeps whole parameters, and
/// collects those of the others while the block computes.
/// </summary>
public sealed class DividedBlock : IBlockWeights
{
    private readonly ParameterShare _share;
    private readonly Parameter[] _others;
    private int _holds;

    /// <summary>Divides a block, and frees the weights of other processes.</summary>
    /// <param name="share">Parameters of the block and their owners. Every value has its own memory.</param>
    public DividedBlock(ParameterShare share)
    {
        ArgumentNullException.ThrowIfNull(share);
        _share = share;
        _others = [.. share.All.Except(share.Own)];
        foreach (var parameter in share.All)
            parameter.Block = this;
        Release();
    }

    /// <inheritdoc/>
    public IDisposable Hold()
    {
        if (_holds == 0)
        {
            foreach (var parameter in _others)
                parameter.Value.AllocateMemory();
            _share.Collect(static _ => true);
        }

        _holds++;
        return new Held(this);
    }

    private void Release()
    {
        // Copies in the type of autocast would keep what is freed here.
        Autocast.ForgetCopies();
        foreach (var parameter in _others)
            parameter.Value.ReleaseMemory();
    }

    private sealed class Held(DividedBlock block) : IDisposable
    {
        private bool _ended;

        public void Dispose()
        {
            if (_ended)
                return;
            _ended = true;
            if (--block._holds == 0)
                block.Release();
        }
    }
}
