using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>Lets in the samples whose noise is low enough for their estimate to be worth decoding ([LPL] eq. 2: 1{σ_t ≤ τ}).</summary>
internal sealed class Gate
{
    private readonly GateKind _kind;
    private readonly double _threshold;

    /// <param name="options">Validated options.</param>
    /// <param name="scale">Scales a threshold on noise: side of the images over the side that it was chosen for.</param>
    public Gate(LatentPerceptualOptions options, double scale)
    {
        _kind = options.Gate;
        _threshold = _kind switch
        {
            GateKind.Sigma => (options.Threshold ?? 3) * scale,
            GateKind.Snr => options.Threshold!.Value / (scale * scale),
            GateKind.None => 0,
            _ => options.Threshold!.Value,
        };
    }

    /// <summary>One entry a sample.</summary>
    public bool[] Active(NoiseLevel level)
    {
        using var scope = TensorScope.Enter();
        return _kind switch
        {
            GateKind.Sigma => Array.ConvertAll(level.Sigma.ToArray<double>(), s => s <= _threshold),
            GateKind.Snr => Array.ConvertAll(level.Snr().ToArray<double>(), s => s >= _threshold),
            GateKind.Timestep => Array.ConvertAll(level.Timestep.ToArray<double>(), t => t <= _threshold),
            GateKind.T => Array.ConvertAll(level.T().ToArray<double>(), t => t <= _threshold),
            _ => Enumerable.Repeat(true, level.Batch).ToArray(),
        };
    }
}
