using System.Globalization;
using Retouch.Images;
using Retouch.Samplers;
using Retouch.Torch;

namespace Retouch.Training.Distributed;

/// <summary>
/// Sampling by one or several processes, which take the batches in turn. Batches are those of a single process, and so are the pictures,
/// to the bit on equal processors.
/// </summary>
public static class SharedSampling
{
    private const string What = "sample pictures";

    /// <summary>Samples pictures; all processes must call it.</summary>
    /// <param name="model">Model with weights on <paramref name="device"/>.</param>
    /// <param name="request">Sampling request, the same in all processes.</param>
    /// <param name="first">Index of the first picture, a multiple of the batch size.</param>
    /// <param name="device">Compute device of this process.</param>
    /// <param name="world">All processes; null for a single one.</param>
    /// <param name="take">Receives the pictures of this process, with the index of the first.</param>
    /// <param name="complete">Receives the number of pictures, from index 0, that all processes have taken.</param>
    /// <param name="progress">Receives completed and total sampler steps of this process.</param>
    /// <param name="cancellation">Cancels between two steps.</param>
    /// <exception cref="Core.Errors.UsageException">As by <see cref="PipelineSampler.Sample"/>.</exception>
    /// <exception cref="Core.Errors.EnvironmentException">Another process has failed, ended, or is late.</exception>
    public static void Run(
        ILatentDiffusionModel model,
        PipelineSampling request,
        int first,
        Device device,
        World? world,
        Action<int, IReadOnlyList<Picture>> take,
        Action<int> complete,
        Action<int, int>? progress = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(take);
        ArgumentNullException.ThrowIfNull(complete);
        // The cycle of classes belongs to the whole request.
        request = request with
        {
            Labels = PipelineSampler.LabelsOf(model, request),
        };
        var count = request.Seeds.Count;
        var own = (world?.Rank ?? 0) * request.BatchSize;
        var all = (world?.Size ?? 1) * request.BatchSize;
        var (round, rounds) = (0, (count - first + all - 1) / all);
        for (var start = first; start < count; start += all, round++)
        {
            world?.Enter($"sampling picture {start + own} of {count}");
            if (start + own < count)
                PipelineSampler.SampleBatches(
                    model,
                    request.Part(start + own, Math.Min(request.BatchSize, count - start - own)),
                    device,
                    pictures => take(start + own, pictures),
                    progress is null ? null : (done, total) => progress((round * total) + done, rounds * total),
                    cancellation
                );
            Meet(world, cancellation);
            complete(Math.Min(start + all, count));
        }
    }

    /// <summary>Samples pictures for all processes, which must all call it.</summary>
    /// <param name="model">Model with weights on <paramref name="device"/>.</param>
    /// <param name="request">Sampling request, the same in all processes.</param>
    /// <param name="device">Compute device of this process.</param>
    /// <param name="world">All processes.</param>
    /// <param name="cancellation">Cancels between two steps.</param>
    /// <returns>The pictures of all processes, in order, in each of them.</returns>
    /// <exception cref="Core.Errors.EnvironmentException">Another process has failed, ended, or is late.</exception>
    public static Picture[] Gather(
        ILatentDiffusionModel model,
        PipelineSampling request,
        Device device,
        World world,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(world);
        var all = new Picture[request.Seeds.Count];
        List<string> own = [];
        void Take(int first, IReadOnlyList<Picture> pictures) =>
            own.AddRange(pictures.Select((p, k) => $"{first + k} {Convert.ToBase64String(PictureFile.Encode(p, PictureFormat.Png))}"));
        // In portions: a single text of many pictures would be too long.
        void Exchange(int complete)
        {
            foreach (var line in world.Gather(What, string.Join('\n', own)).SelectMany(static text => text.Split('\n')))
            {
                if (line.Split(' ') is not [var index, var png])
                    continue;
                var picture = PictureFile.Decode(Convert.FromBase64String(png), $"picture {index}").Picture;
                all[int.Parse(index, CultureInfo.InvariantCulture)] = picture;
            }

            own.Clear();
        }

        Run(model, request, 0, device, world, Take, Exchange, cancellation: cancellation);
        return all;
    }

    /// <summary>A request with batches that all processes have as many of: smaller ones, if need be.</summary>
    internal static PipelineSampling InEqualShares(PipelineSampling request, World world) =>
        request with
        {
            BatchSize = Math.Min(request.BatchSize, (request.Seeds.Count + world.Size - 1) / world.Size),
        };

    /// <summary>Waits for all processes. One that was interrupted meanwhile ends as such, although another has left before.</summary>
    private static void Meet(World? world, CancellationToken cancellation)
    {
        try
        {
            world?.Barrier(What);
        }
        catch (PeerException)
        {
            cancellation.ThrowIfCancellationRequested();
            throw;
        }
    }
}
