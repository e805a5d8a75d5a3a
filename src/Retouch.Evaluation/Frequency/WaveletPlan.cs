using Retouch.Core.Errors;

namespace Retouch.Evaluation.Frequency;

/// <summary>Level and packets of the Fréchet wavelet distance for one picture size.</summary>
public sealed record WaveletPlan
{
    /// <summary>Upper bound of the memory of a set's statistics, in bytes.</summary>
    public const long MaxBytes = 2L << 30;

    private const int PaperLevel = 4;
    private const int SmallestPacket = 4;
    private const int Channels = 3;

    private WaveletPlan(int level, int width, int height, bool logarithm)
    {
        Level = level;
        Packets = 1 << (2 * level);
        Features = Channels * (width >> level) * (height >> level);
        Logarithm = logarithm;
    }

    /// <summary>The wavelet.</summary>
    public string Wavelet { get; } = "haar";

    /// <summary>Number of levels.</summary>
    public int Level { get; }

    /// <summary>Number of packets, 4^level.</summary>
    public int Packets { get; }

    /// <summary>Coefficients per packet: channels times positions.</summary>
    public int Features { get; }

    /// <summary>Whether coefficients c are replaced by log(|c| + 10^−6), a deviation from the paper.</summary>
    public bool Logarithm { get; }

    /// <summary>Pixel values before the transform.</summary>
    public string Pixels { get; } = "RGB, 0 to 1";

    /// <summary>Memory of a set's statistics in bytes: one float64 covariance per packet.</summary>
    public long Bytes => Size(Packets, Features);

    /// <summary>
    /// Creates the plan. The default level is 4 as in the paper, with packets of 16 x 16 at 256 pixels: lower where packets would be
    /// smaller than 4 x 4 or the sides are not divisible, higher where the statistics would exceed <see cref="MaxBytes"/>.
    /// </summary>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="level">Level, or null for the default.</param>
    /// <param name="logarithm">Value of <see cref="Logarithm"/>.</param>
    /// <exception cref="UsageException">The level does not fit the pictures.</exception>
    public static WaveletPlan For(int width, int height, int? level = null, bool logarithm = false)
    {
        var most = 0;
        while (most < 10 && width % (2 << most) == 0 && height % (2 << most) == 0)
            most++;
        if (most == 0)
            throw new UsageException(
                $"Pictures of {width} x {height} have no wavelet packets: both sides must be even. Resize them with --size."
            );
        if (level is { } given && (given < 1 || given > most))
            throw new UsageException($"Wavelet level {given} does not fit pictures of {width} x {height}; 1 to {most} do.");

        var plan = new WaveletPlan(level ?? Chosen(width, height, most), width, height, logarithm);
        if (plan.Bytes > MaxBytes)
        {
            throw new UsageException(
                $"The wavelet statistics of pictures of {width} x {height} at level {plan.Level} take {plan.Bytes >> 20} MiB a "
                    + $"set, over {MaxBytes >> 20}. "
                    + "Choose a higher level, or resize the pictures to a side divisible by a higher power of 2 (--size)."
            );
        }

        return plan;
    }

    /// <summary>Band of a packet, by thirds of its higher frequency: 0 low, 1 middle, 2 high.</summary>
    public int Band(int packet)
    {
        var (row, column) = WaveletPackets.Frequency(packet, Level);
        return 3 * Math.Max(row, column) >> Level;
    }

    private static int Chosen(int width, int height, int most)
    {
        var level = Math.Min(PaperLevel, most);
        while (level > 1 && Math.Min(width, height) >> level < SmallestPacket)
            level--;
        while (level < most && Size(1 << (2 * level), Channels * (width >> level) * (height >> level)) > MaxBytes)
            level++;
        return level;
    }

    private static long Size(long packets, long features) => packets * features * features * sizeof(double);
}
