using Retouch.Data;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Pictures;
using Retouch.Torch;

namespace Retouch.Evaluation.Patches;

/// <summary>
/// Patches of every level of every picture's Laplacian pyramid. Their positions depend on the picture's content only, not on order or
/// names.
/// </summary>
internal sealed class PatchDescriptors : IDisposable
{
    private const int Channels = 3;
    private const ulong HashStart = 14695981039346656037;
    private const ulong HashPrime = 1099511628211;

    private readonly SlicedWassersteinOptions _options;
    private readonly FeatureRows[] _tables;
    private readonly (int Width, int Height) _size;

    public PatchDescriptors(ImageSet set, SlicedWassersteinOptions options)
    {
        _options = options;
        _size = (set.Width, set.Height);
        PatchesPerPicture = options.PatchesOf(set.Count);
        _tables = new FeatureRows[LaplacianPyramid.Levels(set.Width, set.Height, options.SmallestLevel)];
        for (var k = 0; k < _tables.Length; k++)
            _tables[k] = new FeatureRows(checked(set.Count * PatchesPerPicture), Channels * options.Patch * options.Patch);
    }

    public int PatchesPerPicture { get; }

    /// <summary>Descriptors of each level, the finest first: one row per patch, picture by picture.</summary>
    public IReadOnlyList<FeatureRows> Levels => _tables;

    /// <summary>Shorter side of each level in pixels.</summary>
    public int Side(int level) => Math.Min(_size.Width, _size.Height) >> level;

    public void Add(int start, Tensor images)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var count = (int)images.Shape[0];
        var hashes = Hashes(images);
        var levels = LaplacianPyramid.Of(images.To(DType.Float32), _tables.Length);
        for (var k = 0; k < levels.Length; k++)
        {
            using var inner = TensorScope.Enter();
            var (height, width) = ((int)levels[k].Shape[2], (int)levels[k].Shape[3]);
            var pixels = levels[k].To(Device.Cpu).Contiguous();
            var (patch, table) = (_options.Patch, _tables[k]);
            var rows = Ops.Empty([count * PatchesPerPicture, table.Width], dtype: DType.Float32);
            var level = k;
            Parallel.For(
                0,
                count,
                i =>
                {
                    var from = pixels.Span<float>();
                    var to = rows.Span<float>();
                    var random = new SplitMix64(SplitMix64.Derive(_options.Seed, 0x737764, (ulong)level, hashes[i]));
                    for (var p = 0; p < PatchesPerPicture; p++)
                    {
                        var (top, left) = (random.NextInt(height - patch + 1), random.NextInt(width - patch + 1));
                        var row = to.Slice(((i * PatchesPerPicture) + p) * table.Width, table.Width);
                        for (var c = 0; c < Channels; c++)
                        {
                            for (var y = 0; y < patch; y++)
                                from.Slice((((((i * Channels) + c) * height) + top + y) * width) + left, patch)
                                    .CopyTo(row[(((c * patch) + y) * patch)..]);
                        }
                    }
                }
            );
            table.Put(start * PatchesPerPicture, rows);
        }
    }

    /// <summary>Mean and standard deviation of a level's three channels.</summary>
    public (double[] Mean, double[] Deviation) Moments(int level)
    {
        var table = _tables[level];
        var (sums, squares) = (new double[Channels], new double[Channels]);
        table.ForEachBlock(
            (_, block) =>
            {
                var x = block.Reshape([block.Shape[0], Channels, table.Width / Channels]).To(DType.Float64);
                var (sum, square) = (x.Sum([0L, 2]).ToArray<double>(), x.Square().Sum([0L, 2]).ToArray<double>());
                for (var c = 0; c < Channels; c++)
                    (sums[c], squares[c]) = (sums[c] + sum[c], squares[c] + square[c]);
            }
        );
        double n = (double)table.Count * table.Width / Channels;
        double[] mean = [.. sums.Select(s => s / n)];
        return (mean, [.. squares.Zip(mean, (s, m) => Math.Sqrt(Math.Max((s / n) - (m * m), 0)))]);
    }

    public void Dispose()
    {
        foreach (var table in _tables)
            table.Dispose();
    }

    /// <summary>Hash of a picture's 8-bit levels (FNV-1a).</summary>
    private static ulong[] Hashes(Tensor images)
    {
        var levels = (images.To(DType.Float32) * 255).Round().To(DType.UInt8).ToArray<byte>();
        var hashes = new ulong[images.Shape[0]];
        var each = levels.Length / hashes.Length;
        Parallel.For(
            0,
            hashes.Length,
            i =>
            {
                var hash = HashStart;
                foreach (var level in levels.AsSpan(i * each, each))
                    hash = (hash ^ level) * HashPrime;
                hashes[i] = hash;
            }
        );
        return hashes;
    }
}
