using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Torch;

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

    /// <summary>The Fréchet distance on Inception features, the Fréchet Inception distance.</summary>
    Fid = 16,

    /// <summary>The Fréchet distance on the features of every other network that is given; figures carry the network's name.</summary>
    Fd = 32,

    /// <summary>
    /// The kernel distance on the features of every network that is given; on Inception's, the kernel Inception distance.
    /// </summary>
    Kid = 64,

    /// <summary>Precision, recall, density and coverage on the features of every network that is given.</summary>
    Prdc = 128,

    /// <summary>The sliced Wasserstein distance of patches, whole and by level of a Laplacian pyramid.</summary>
    Swd = 256,

    /// <summary>The structural similarity to the reference's picture of the same name.</summary>
    Ssim = 512,

    /// <summary>The learned perceptual distance to the reference's picture of the same name.</summary>
    Lpips = 1024,

    /// <summary>CLIPScore: how well each picture fits its caption.</summary>
    ClipScore = 2048,
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

    /// <summary>Networks whose features are compared; not disposed.</summary>
    public IReadOnlyList<IFeatureExtractor> Networks { get; init; } = [];

    /// <summary>The network of LPIPS; not disposed.</summary>
    public PerceptualSimilarity? Perceptual { get; init; }

    /// <summary>The model of CLIPScore; not disposed.</summary>
    public ClipScore? ClipScore { get; init; }

    /// <summary>How the sliced Wasserstein distance is taken.</summary>
    public SlicedWassersteinOptions SlicedWasserstein { get; init; } = new();

    /// <summary>How precision, recall, density and coverage are taken.</summary>
    public PrecisionRecallOptions PrecisionRecall { get; init; } = new();

    /// <summary>How kernel distances are taken.</summary>
    public KernelDistanceOptions Kernel { get; init; } = new();

    /// <summary>Saved statistics of Inception features that FID compares with instead of the reference's pictures.</summary>
    public FrechetStatistics? Statistics { get; init; }

    /// <summary>What the saved statistics are called in results: their file.</summary>
    public string? StatisticsName { get; init; }

    /// <summary>How intervals are made.</summary>
    public BootstrapOptions Bootstrap { get; init; } = new();

    /// <summary>The smallest difference worth naming, as a share of the baseline's figure, 0 up to but not including 1.</summary>
    public double SmallestDifference { get; init; } = VerdictRule.Smallest;

    /// <summary>Pictures that are looked at together; changes memory and time, not results.</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Where to compute.</summary>
    public Device Device { get; init; } = Device.Cpu;

    /// <summary>Checks the options.</summary>
    /// <exception cref="UsageException">One is out of range.</exception>
    public void Validate()
    {
        if (Metrics == Metrics.None)
            throw new UsageException(
                "No metric is asked for; choose from fwd, spectrum, sharpness, psnr, ssim, lpips, clipscore, swd, fid, fd, kid and prdc."
            );
        if (BatchSize is < 1 or > 4096)
            throw new UsageException($"The batch size is {BatchSize}; it lies between 1 and 4096.");
        Bootstrap.Validate();
        VerdictRule.Validate(SmallestDifference);
        PrecisionRecall.Validate();
        Kernel.Validate();
        SlicedWasserstein.Validate();
        ValidateNetworks();
    }

    /// <summary>The metrics that compare each picture with one of the reference.</summary>
    internal const Metrics Paired = Metrics.Psnr | Metrics.Ssim | Metrics.Lpips;

    /// <summary>Whether one of some metrics is asked for.</summary>
    internal bool Asks(Metrics any) => (Metrics & any) != Metrics.None;

    private void ValidateNetworks()
    {
        var inception = Networks.FirstOrDefault(static n => n.Protocol.Key == FeatureNames.Inception);
        var hasOthers = Networks.Any(static n => n.Protocol.Key != FeatureNames.Inception);
        if (Asks(Metrics.Fid) && inception is null)
            throw new UsageException("fid needs the Inception network: give its weights in pytorch-fid's layout (--inception FILE).");
        if (Asks(Metrics.Fd) && !hasOthers)
            throw new UsageException(
                "fd needs a feature network other than Inception: give its weights (--squeezenet FILE, --clip FOLDER or "
                    + "--retouch-features FOLDER)."
            );
        if (Asks(Metrics.Kid | Metrics.Prdc) && Networks.Count == 0)
            throw new UsageException(
                "kid and prdc need a feature network: give its weights (--inception FILE, --squeezenet FILE, --clip FOLDER or "
                    + "--retouch-features FOLDER)."
            );
        if (inception is not null && !Asks(Metrics.Fid | Metrics.Kid | Metrics.Prdc))
            throw new UsageException(
                "The Inception network is given, but no metric uses it; ask for fid, kid or prdc (--metrics) or leave it out."
            );
        if (hasOthers && !Asks(Metrics.Fd | Metrics.Kid | Metrics.Prdc))
            throw new UsageException(
                "A feature network is given, but no metric uses it; ask for fd, kid or prdc (--metrics) or leave it out."
            );
        if (Asks(Metrics.Lpips) && Perceptual is null)
            throw new UsageException(
                "lpips needs a classifier's weights in torchvision's layout (--lpips-network FILE) and the lpips package's linear "
                    + "weights for it (--lpips FILE)."
            );
        if (Perceptual is not null && !Asks(Metrics.Lpips))
            throw new UsageException("The network of LPIPS is given, but lpips is not asked for (--metrics).");
        if (Asks(Metrics.ClipScore) && ClipScore is null)
            throw new UsageException("clipscore needs a CLIP model with its tokenizer: give its folder (--clip FOLDER).");
        if (ClipScore is not null && !Asks(Metrics.ClipScore))
            throw new UsageException("The model of CLIPScore is given, but clipscore is not asked for (--metrics).");
        if (Statistics is not null && !Asks(Metrics.Fid))
            throw new UsageException("Saved statistics are given, but fid, which would use them, is not asked for (--metrics).");
        if (Statistics is { } saved && saved.Width != inception!.Protocol.Width)
            throw new InputException(
                $"'{StatisticsName}' holds statistics of {saved.Width} features; FID compares {inception.Protocol.Width}."
            );
    }
}
