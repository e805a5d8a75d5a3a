using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>Selects the samples whose noise level is low enough for a useful estimate ([LPL] eq. 2: 1{σ_t ≤ τ}).</summary>
internal sealed class Gate
{
    private readonly GateKind _kind;
    private readonly double _threshold;

    /// <param name="options">Validated options.</param>
    /// <param name="scale">Scale of a σ or SNR threshold: image side over the side that the threshold was chosen for.</param>
    public Gate(LatentPerceptualOptions options, double scale)
    {
        _kind = options.Gate;
        _threshold = _kind switch
        {
            GateKind.Sigma => (options.Threshold ?? LatentPerceptualOptions.DefaultSigma) * scale,
            GateKind.Snr => options.Threshold!.Value / (scale * scale),
            GateKind.None => 0,
            _ => options.Threshold!.Value,
        };
    }

    /// <summary>Whether each sample passes the gate, [batch].</summary>
    public bool[] Active(NoiseLevel level) =>
        _kind == GateKind.None ? [.. Enumerable.Repeat(true, level.Batch)] : [.. Values(level).Select(IsIn)];

    private bool IsIn(double value) => _kind == GateKind.Snr ? value >= _threshold : value <= _threshold;

    /// <summary>Gated quantity of each sample, computed in float32 on host and device alike.</summary>
    private double[] Values(NoiseLevel level)
    {
        if (level.Points is { } points)
            return
            [
                .. points.Select(p =>
                    _kind switch
                    {
                        GateKind.Sigma => (float)p.Sigma,
                        GateKind.Snr => Square((float)p.A / (float)p.B),
                        GateKind.Timestep => (float)p.Timestep,
                        _ => (float)p.Timestep / level.TrainSteps,
                    }
                ),
            ];
        using var scope = TensorScope.Enter();
        var values = _kind switch
        {
            GateKind.Sigma => level.Sigma,
            GateKind.Snr => level.Snr(),
            GateKind.Timestep => level.Timestep,
            _ => level.T(),
        };
        return values.ToArray<double>();
    }

    private static float Square(float x) => x * x;
}
