using MathNet.Numerics.Distributions;

namespace Retouch.Samplers;

/// <summary>Noise levels spaced in σ, independent of the schedule's timesteps.</summary>
internal static class SigmaLevels
{
    /// <summary>Levels in descending order, both ends included; a single level is the largest.</summary>
    public static double[] Create(SigmaSpacing spacing, double least, double most, int steps) =>
        [
            .. Enumerable
                .Range(0, steps)
                .Select(k => steps == 1 ? 0 : (double)k / (steps - 1))
                .Select(part => At(spacing, least, most, part)),
        ];

    private static double At(SigmaSpacing spacing, double least, double most, double part) =>
        spacing switch
        {
            SigmaSpacing.Karras => Math.Pow(Between(Math.Pow(most, 1 / Rho), Math.Pow(least, 1 / Rho), part), Rho),
            SigmaSpacing.Exponential => Math.Exp(Between(Math.Log(most), Math.Log(least), part)),
            SigmaSpacing.Beta => least + ((most - least) * Quantile(1 - part)),
            _ => throw new ArgumentOutOfRangeException(nameof(spacing), spacing, "Levels of the schedule are computed elsewhere."),
        };

    // Karras et al. 2022, eq. 5.
    private const double Rho = 7;

    private static double Between(double from, double to, double part) => from + ((to - from) * part);

    private static double Quantile(double share) => share is 0 or 1 ? share : Beta.InvCDF(0.6, 0.6, share);
}
