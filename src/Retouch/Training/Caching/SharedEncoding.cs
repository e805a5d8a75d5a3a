using System.Text.Json;
using Retouch.Core.Json;
using Retouch.Data;
using Retouch.Torch;
using Retouch.Training.Distributed;

namespace Retouch.Training.Caching;

/// <summary>Pictures that were read and encoded at once.</summary>
/// <param name="Chosen">Indices of the planned samples.</param>
/// <param name="Frames">Crops of the pictures, or of their replacements.</param>
/// <param name="Encoded">Indices of those that were encoded.</param>
/// <param name="Moments">Their encoder outputs [encoded, …] on the CPU; null if none was encoded.</param>
/// <param name="Masks">Levels of the masks of all, null without a mask; empty if masks are not read.</param>
internal sealed record EncodedPictures(int[] Chosen, FrameRecord[] Frames, int[] Encoded, Tensor? Moments, byte[]?[] Masks);

/// <summary>
/// The division of encoding among processes: in every round each encodes one batch of a single process, and receives those of the others
/// with their unusable pictures.
/// </summary>
/// <param name="world">All processes.</param>
/// <param name="quarantine">Unusable pictures of this process; receives those of all.</param>
internal sealed class SharedEncoding(World world, Quarantine quarantine)
{
    private const string What = "encode the pictures";

    private readonly HashSet<int> _told = [];

    /// <summary>The batches of all processes, by rank.</summary>
    /// <param name="own">Batch of this process; null if there is none left for it.</param>
    /// <param name="cancellation">Interruption of this process.</param>
    /// <returns>Batches with tensors of the current scope.</returns>
    /// <exception cref="OperationCanceledException">A process is interrupted.</exception>
    /// <exception cref="Core.Errors.InputException">Too many pictures are unusable.</exception>
    public EncodedPictures[] Exchange(EncodedPictures? own, CancellationToken cancellation)
    {
        own ??= new([], [], [], null, []);
        QuarantinedPicture[] found = [.. quarantine.Pictures.Where(p => _told.Add(p.Index))];
        var note = new Note(
            own.Chosen,
            [.. own.Frames.Select(static f => (int[])[f.OriginalWidth, f.OriginalHeight, f.Left, f.Top])],
            own.Encoded,
            own.Moments?.Shape,
            [.. own.Masks.Select(static m => m?.Length ?? 0)],
            found,
            cancellation.IsCancellationRequested
        );
        Note[] notes =
        [
            .. world
                .Gather(What, JsonSerializer.Serialize(note, JsonStyles.StateLine))
                .Select(static t => JsonSerializer.Deserialize<Note>(t, JsonStyles.StateLine)!),
        ];
        if (Array.Exists(notes, static n => n.IsInterrupted))
            throw new OperationCanceledException(cancellation);
        foreach (var picture in notes.SelectMany(static n => n.Unusable))
        {
            _told.Add(picture.Index);
            quarantine.Add(picture);
        }

        var moments = Moments(own.Moments, notes);
        var masks = Masks(own.Masks, notes);
        return
        [
            .. notes.Select(
                (n, rank) =>
                    new EncodedPictures(
                        n.Chosen,
                        [.. n.Frames.Select(static f => new FrameRecord(f[0], f[1], f[2], f[3], Flipped: false))],
                        n.Encoded,
                        n.Encoded.Length == 0 ? null : moments[rank].Narrow(0, 0, n.Encoded.Length),
                        masks[rank]
                    )
            ),
        ];
    }

    private Tensor[] Moments(Tensor? own, Note[] notes)
    {
        if (Array.Find(notes, static n => n.Shape is not null)?.Shape is not { } shape)
            return [];
        var most = notes.Max(static n => n.Encoded.Length);
        var sent = Ops.Zeros([most, .. shape[1..]], dtype: DType.Float32);
        if (own is not null)
            sent.Narrow(0, 0, own.Shape[0]).CopyInPlace(own);
        return world.Gather(What, sent);
    }

    private byte[]?[][] Masks(byte[]?[] own, Note[] notes)
    {
        var (most, length) = (notes.Max(static n => n.Masks.Count(static m => m > 0)), notes.Max(static n => n.Masks.Append(0).Max()));
        if (most == 0)
            return [.. notes.Select(static n => new byte[]?[n.Masks.Length])];
        var levels = new byte[most * length];
        foreach (var (k, mask) in own.OfType<byte[]>().Index())
            mask.CopyTo(levels, k * length);
        byte[][] received = Array.ConvertAll(world.Gather(What, Tensor.From(levels, most, length)), static t => t.ToArray<byte>());
        return
        [
            .. notes.Select(
                (n, rank) =>
                {
                    var at = 0;
                    return Array.ConvertAll(n.Masks, m => m == 0 ? null : received[rank][(at++ * length)..(at * length)]);
                }
            ),
        ];
    }

    /// <summary>What a process tells of its batch besides tensors.</summary>
    private sealed record Note(
        int[] Chosen,
        int[][] Frames,
        int[] Encoded,
        long[]? Shape,
        int[] Masks,
        QuarantinedPicture[] Unusable,
        bool IsInterrupted
    );
}
