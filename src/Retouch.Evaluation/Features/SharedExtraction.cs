using Retouch.Evaluation.Pictures;
using Retouch.Torch;
using Retouch.Torch.Distributed;

namespace Retouch.Evaluation.Features;

/// <summary>
/// Extraction of features by several processes, which take the batches of a set in turn. Batches are those of a single process, and so are
/// the features, to the bit on equal processors.
/// </summary>
internal static class SharedExtraction
{
    /// <summary>Extracts the features of a set; all processes must call it.</summary>
    /// <param name="set">Pictures; each process reads only the batches that it takes.</param>
    /// <param name="tables">Feature networks in the same order in all processes, each with its table, which is filled in rank 0
    /// only.</param>
    /// <param name="batchSize">Pictures per batch.</param>
    /// <param name="device">Device of the networks.</param>
    /// <param name="peers">All processes.</param>
    /// <param name="tick">Receives the number of pictures that all processes have taken since the last call.</param>
    /// <exception cref="Core.Errors.InputException">A picture cannot be read, or a feature is not finite.</exception>
    /// <exception cref="Core.Errors.EnvironmentException">Another process has failed, ended, or is late.</exception>
    public static void Run(
        ImageSet set,
        IReadOnlyList<(IFeatureExtractor Network, FeatureRows Rows)> tables,
        int batchSize,
        Device device,
        IPeers peers,
        Action<int> tick
    )
    {
        // Rank 0 may still be occupied with the scores of the previous set.
        peers.AwaitMain($"features of '{set.Name}'");
        var width = tables.Sum(static t => t.Rows.Width);
        var round = batchSize * peers.Size;
        for (var first = 0; first < set.Count; first += round)
        {
            using var scope = TensorScope.Enter();
            using var quiet = Autograd.NoGrad();
            // Of one shape in all processes: padded to the first batch of the round.
            var own = Ops.Zeros([CountAt(first), width], dtype: DType.Float32);
            var start = first + (peers.Rank * batchSize);
            if (start < set.Count)
            {
                peers.Enter($"extracting the features of picture {start} of {set.Count} of '{set.Name}'");
                var images = set.Read(start, CountAt(start)).To(device);
                Split(
                    own.Narrow(0, 0, CountAt(start)),
                    (table, part) => part.CopyInPlace(FeatureRows.Finite(table.Network.Extract(images)))
                );
            }

            var all = peers.Gather("extract features", own);
            if (peers.IsMain)
            {
                foreach (var (rank, theirs) in all.Index())
                {
                    var at = first + (rank * batchSize);
                    if (at < set.Count)
                        Split(theirs.Narrow(0, 0, CountAt(at)), (table, part) => table.Rows.Put(at, part));
                }
            }

            tick(Math.Min(round, set.Count - first));
        }

        int CountAt(int start) => Math.Min(batchSize, set.Count - start);

        void Split(Tensor rows, Action<(IFeatureExtractor Network, FeatureRows Rows), Tensor> action)
        {
            var column = 0;
            foreach (var table in tables)
            {
                action(table, rows.Narrow(1, column, table.Rows.Width));
                column += table.Rows.Width;
            }
        }
    }
}
