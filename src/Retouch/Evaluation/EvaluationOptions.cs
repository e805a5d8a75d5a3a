using Retouch.Torch;
using Retouch.Torch.Errors;

namespace Retouch.Evaluation;

/// <summary>What is measured.</summary>
[Flags]
public enum Metrics
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>The Fréchet wavelet distance to the reference, whole and by band.</summary>
    Fwd = 1,

    /// <summary>The error of the power spectrum against the reference's.</summary>
    Spectrum = 2,

    /// <summary>The variance of the Laplacian.</summary>
    Sharpness = 4,

    /// <summary>The peak signal-to-noise ratio against the reference's picture of the same name.</summary>
    Psnr = 8,
}

/// <summary>How sets of pictures are measured.</summary>
public sealed record EvaluationOptions
{
    /// <summary>What is measured.</summary>
    public Metrics Metrics { get; init; } = Metrics.Fwd | Metrics.Spectrum | Metrics.Sharpness;

    /// <summary>Level of the wavelet packets; null for the rule of <see cref="WaveletPlan.For"/>.</summary>
    public int? WaveletLevel { get; init; }

    /// <summary>Whether the distance is of the logarithms of wavelet coefficients.</summary>
    public bool WaveletLogarithm { get; init; }

    /// <summary>How spectra are taken.</summary>
    public SpectrumOptions Spectrum { get; init; } = new();

    /// <summary>How intervals are made.</summary>
    public BootstrapOptions Bootstrap { get; init; } = new();

    /// <summary>Pictures that are looked at together; changes memory and time, not results.</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Where to compute.</summary>
    public Device Device { get; init; } = Device.Cpu;

    /// <summary>Checks the options.</summary>
    /// <exception cref="UsageException">One is out of range.</exception>
    public void Validate()
    {
        if (Metrics == Metrics.None)
            throw new UsageException("No metric is asked for; choose from fwd, spectrum, sharpness and psnr.");
        if (BatchSize is < 1 or > 4096)
            throw new UsageException($"The batch size is {BatchSize}; it lies between 1 and 4096.");
        Bootstrap.Validate();
    }
}
