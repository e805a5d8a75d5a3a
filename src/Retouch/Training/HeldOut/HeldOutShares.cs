using System.Text.Json;
using Retouch.Core.Json;
using Retouch.Objectives;
using Retouch.Training.Distributed;

namespace Retouch.Training.HeldOut;

/// <summary>Values of a forward pass over a batch of held-out samples.</summary>
/// <param name="Part">Part of the schedule.</param>
/// <param name="Chunk">Index of the batch.</param>
/// <param name="Values">Terms as sums, by name.</param>
internal sealed record HeldOutPass(int Part, int Chunk, IReadOnlyDictionary<string, HealthFigure> Values);

/// <summary>
/// Division of a validation among processes. Every pass has the draws of a single process, and passes are summed in its order: results do
/// not depend on the number of processes.
/// </summary>
internal static class HeldOutShares
{
    /// <summary>The passes in rounds: in each, every process has at most one, by rank.</summary>
    /// <param name="parts">Parts of the schedule.</param>
    /// <param name="chunks">Batches.</param>
    /// <param name="size">Number of processes.</param>
    public static IReadOnlyList<(int Part, int Chunk)?[]> Of(int parts, int chunks, int size)
    {
        // A process reads and encodes the same batches in all parts, unless that leaves processes without any.
        int OwnerOf(int part, int chunk) => (chunks >= size ? chunk : (part * chunks) + chunk) % size;
        var queues = Enumerable.Range(0, size).Select(static _ => new List<(int, int)?>()).ToArray();
        for (var part = 0; part < parts; part++)
        {
            for (var chunk = 0; chunk < chunks; chunk++)
                queues[OwnerOf(part, chunk)].Add((part, chunk));
        }

        return
        [
            .. Enumerable.Range(0, queues.Max(static q => q.Count)).Select(k => Array.ConvertAll(queues, q => q.ElementAtOrDefault(k))),
        ];
    }

    /// <summary>The passes of all processes, in the order of a single one.</summary>
    public static IReadOnlyList<HeldOutPass> Gather(World world, IReadOnlyList<HeldOutPass> own)
    {
        var texts = world.Gather(
            "validation",
            JsonSerializer.Serialize(
                own.Select(static p => new PassShare(
                    p.Part,
                    p.Chunk,
                    [.. p.Values.Select(static v => new HealthShare(v.Key, v.Value.Kind, v.Value.Sum, v.Value.Count))]
                )),
                JsonStyles.StateLine
            )
        );
        return
        [
            .. texts
                .SelectMany(static t => JsonSerializer.Deserialize<PassShare[]>(t, JsonStyles.StateLine)!)
                .OrderBy(static p => (p.Part, p.Chunk))
                .Select(static p => new HeldOutPass(
                    p.Part,
                    p.Chunk,
                    p.Values.ToDictionary(static v => v.Name, static v => new HealthFigure(v.Kind, v.Sum, v.Count), StringComparer.Ordinal)
                )),
        ];
    }

    /// <summary>Sums of the passes of each part.</summary>
    public static Dictionary<string, HealthFigure>[] Sum(int parts, IEnumerable<HeldOutPass> passes)
    {
        var sums = new Dictionary<string, HealthFigure>[parts];
        for (var part = 0; part < parts; part++)
            sums[part] = new(StringComparer.Ordinal);
        foreach (var pass in passes)
        {
            var sum = sums[pass.Part];
            foreach (var (name, value) in pass.Values)
                sum[name] = sum.TryGetValue(name, out var before) ? before.Plus(value) : value;
        }

        return sums;
    }

    /// <summary>A pass as it is sent.</summary>
    private sealed record PassShare(int Part, int Chunk, IReadOnlyList<HealthShare> Values);
}
