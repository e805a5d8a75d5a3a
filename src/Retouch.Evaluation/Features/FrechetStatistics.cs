using System.IO.Compression;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Torch;

namespace Retouch.Evaluation.Features;

/// <summary>
/// Mean and covariance of a set's features, in pytorch-fid's format: a <c>.npz</c> file with <c>mu</c> [width] and <c>sigma</c> [width,
/// width] in float64. Retouch adds <c>count</c> and <c>protocol</c> (UTF-8 JSON), which other programs ignore.
/// </summary>
/// <param name="Mean">[width].</param>
/// <param name="Covariance">[width · width], row-major, symmetric.</param>
/// <param name="Count">Number of pictures; null if not stored.</param>
/// <param name="Protocol">Protocol of the features; null if not stored.</param>
/// <param name="Preparation">Preparation of the pictures; null if not stored.</param>
public sealed record FrechetStatistics(
    double[] Mean,
    double[] Covariance,
    long? Count = null,
    FeatureProtocol? Protocol = null,
    string? Preparation = null
)
{
    private const long MaxProtocol = 1 << 16;

    // The earliest date of the ZIP format: equal statistics give equal bytes.
    private static readonly DateTimeOffset Epoch = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Width of the features.</summary>
    public int Width => Mean.Length;

    /// <summary>Statistics of a set's features.</summary>
    /// <param name="rows">Features.</param>
    /// <param name="protocol">Protocol of the features.</param>
    /// <param name="preparation">Preparation of the pictures.</param>
    /// <param name="device">Device of the computation.</param>
    /// <exception cref="InputException">Fewer than two pictures.</exception>
    public static FrechetStatistics Of(FeatureRows rows, FeatureProtocol protocol, string preparation, Device device)
    {
        ArgumentNullException.ThrowIfNull(rows);
        if (rows.Count < 2)
            throw new InputException("Statistics need at least two pictures.");
        using var scope = TensorScope.Enter();
        using var statistics = rows.Statistics(device);
        return new FrechetStatistics(
            statistics.Mean(0, 1).ToArray<double>(),
            statistics.Covariance(0, 1).ToArray<double>(),
            rows.Count,
            protocol,
            preparation
        );
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="InputException">The file cannot be read, an array is missing, or the arrays are not a mean and a
    /// covariance.</exception>
    public static FrechetStatistics Load(string file)
    {
        try
        {
            using var stream = File.OpenRead(file);
            using var archive = new ZipArchive(stream, ZipArchiveMode.Read);
            var mean = ReadArray(archive, file, "mu") ?? throw Lacking(file, "mu");
            var covariance = ReadArray(archive, file, "sigma") ?? throw Lacking(file, "sigma");
            Check(file, mean, covariance);
            var count = ReadArray(archive, file, "count") is { Values: [>= 2 and <= long.MaxValue / 2 and var n] } ? (long?)n : null;
            var saved = ReadProtocol(archive, file);
            return new FrechetStatistics(mean.Values, covariance.Values, count, saved?.Protocol, saved?.Preparation);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or NotSupportedException)
        {
            throw new InputException($"Cannot read '{file}' as statistics (.npz): {Reasons.Of(e)}.", e);
        }
    }

    /// <summary>Writes a file atomically.</summary>
    /// <exception cref="EnvironmentException">The disk is full or the folder is not writable.</exception>
    public void Save(string file) =>
        AtomicFile.Write(
            file,
            stream =>
            {
                using var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true);
                void Entry(string name, Action<Stream> write)
                {
                    var entry = archive.CreateEntry(name + ".npy", CompressionLevel.NoCompression);
                    entry.LastWriteTime = Epoch;
                    using var to = new BufferedStream(entry.Open(), 1 << 16);
                    write(to);
                }

                Entry("mu", to => NpyArray.Write(to, Mean, Width));
                Entry("sigma", to => NpyArray.Write(to, Covariance, Width, Width));
                if (Count is { } count)
                    Entry("count", to => NpyArray.Write(to, [count]));
                if (Protocol is not null)
                    Entry(
                        "protocol",
                        to =>
                            NpyArray.Write(to, JsonSerializer.SerializeToUtf8Bytes(new Saved(Protocol, Preparation), JsonStyles.StateLine))
                    );
            }
        );

    private static NpyArray? ReadArray(ZipArchive archive, string file, string name)
    {
        if (archive.GetEntry(name + ".npy") is not { } entry)
            return null;
        using var stream = entry.Open();
        return NpyArray.Read(stream, entry.Length, $"'{name}' in '{file}'");
    }

    private static Saved? ReadProtocol(ZipArchive archive, string file)
    {
        if (archive.GetEntry("protocol.npy") is not { Length: < MaxProtocol } || ReadArray(archive, file, "protocol") is not { } text)
            return null;
        try
        {
            return
                JsonSerializer.Deserialize<Saved>([.. text.Values.Select(static b => (byte)b)], JsonStyles.StateLine)
                    is { Protocol: not null } saved
                ? saved
                : null;
        }
        catch (JsonException e)
        {
            throw new InputException($"'protocol' in '{file}' is damaged: {Reasons.Of(e)}. Save the statistics again.", e);
        }
    }

    private static InputException Lacking(string file, string name) =>
        new(
            $"'{file}' has no array '{name}'; feature statistics consist of 'mu' and 'sigma'. Give a file written by 'retouch "
                + $"statistics' or pytorch-fid."
        );

    private static void Check(string file, NpyArray mean, NpyArray covariance)
    {
        if (mean.Shape is not [>= 1 and var width] || covariance.Shape is not [var rows, var columns] || rows != width || columns != width)
        {
            throw new InputException(
                $"'{file}' has 'mu' of shape ({string.Join(", ", mean.Shape)}) and 'sigma' of shape "
                    + $"({string.Join(", ", covariance.Shape)}), which do not form a mean and a covariance."
            );
        }

        if (mean.Values.Concat(covariance.Values).Any(static v => !double.IsFinite(v)))
            throw new InputException($"'{file}' contains values that are not finite.");
        var largest = 0.0;
        for (var k = 0; k < width; k++)
        {
            largest = Math.Max(largest, covariance.Values[(k * width) + k]);
            if (covariance.Values[(k * width) + k] < 0)
                throw new InputException($"'{file}' : 'sigma' is not a covariance, since its diagonal entry {k} is negative.");
        }

        for (var i = 0; i < width; i++)
        {
            for (var j = 0; j < i; j++)
            {
                if (Math.Abs(covariance.Values[(i * width) + j] - covariance.Values[(j * width) + i]) > 1e-6 * largest)
                    throw new InputException($"'{file}' : 'sigma' is not a covariance, since it is not symmetric.");
            }
        }
    }

    private sealed record Saved(FeatureProtocol Protocol, string? Preparation);
}
