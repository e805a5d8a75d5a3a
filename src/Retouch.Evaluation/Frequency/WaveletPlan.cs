using Retouch.Core.Errors;

namespace Retouch.Evaluation.Frequency;

/// <summary>Level and packets of the Fréchet wavelet distance for pictures of one size.</summary>
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

    /// <summary>Splits.</summary>
    public int Level { get; }

    /// <summary>4^level.</summary>
    public int Packets { get; }

    /// <summary>Coefficients of a packet: channels times positions.</summary>
    public int Features { get; }

    /// <summary>Whether coefficients c are replaced by log(|c| + 10^−6), unlike in the paper.</summary>
    public bool Logarithm { get; }

    /// <summary>Colours before the transform.</summary>
    public string Pixels { get; } = "RGB, 0 to 1";

    /// <summary>Memory of a set's statistics in bytes: a float64 covariance for each packet.</summary>
    public long Bytes => Size(Packets, Features);

    /// <summary>
    /// Makes the plan. Without a level: 4, the paper's, which gives packets of 16 x 16 at 256 pixels. Less where packets would fall below 4
    /// x 4 or the sides cannot be halved that often; more where the statistics would take over <see cref="MaxBytes"/>.
    /// </summary>
    /// <param name="width">Pixels in a row.</param>
    /// <param name="height">Rows.</param>
    /// <param name="level">Splits, or null for the rule.</param>
    /// <param name="logarithm">As <see cref="Logarithm"/>.</param>
    /// <exception cref="UsageException">The level does not fit the pictures.</exception>
    public static WaveletPlan For(int width, int height, int? level = null, bool logarithm = false)
    {
        var most = 0;
        while (most < 10 && width % (2 << most) == 0 && height % (2 << most) == 0)
            most++;
        if (most == 0)
            throw new UsageException(
                $"Pictures of {width} x {height} have no wavelet packets: both sides must be even. Have them resized (--size)."
            );
        if (level is { } given && (given < 1 || given > most))
            throw new UsageException($"Wavelet level {given} does not fit pictures of {width} x {height}; 1 to {most} do.");

        var plan = new WaveletPlan(level ?? Chosen(width, height, most), width, height, logarithm);
        if (plan.Bytes > MaxBytes)
        {
            throw new UsageException(
                $"The wavelet statistics of pictures of {width} x {height} at level {plan.Level} take {plan.Bytes >> 20} MiB a "
                    + $"set, over {MaxBytes >> 20}. "
                    + "Choose a higher level or have the pictures resized to a side that can be halved often (--size)."
            );
        }

        return plan;
    }

    /// <summary>The third of the frequencies that a packet belongs to by its larger direction: 0 low, 1 middle, 2 high.</summary>
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
