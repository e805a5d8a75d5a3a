using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>A part of a decoder with its place and its parameters: the unit of taps and of recomputation.</summary>
/// <param name="Path">Its place, under which its output is shown.</param>
/// <param name="Block">What it computes.</param>
/// <param name="Parameters">What it computes with.</param>
internal sealed record DecoderStage(ParameterPath Path, IKlBlock Block, IReadOnlyList<Parameter> Parameters)
{
    /// <summary>Builds a block and notes which parameters it registered.</summary>
    public static DecoderStage Create(ParameterPath path, Func<ParameterPath, IKlBlock> create)
    {
        var before = path.Store.All.Count;
        var block = create(path);
        return new DecoderStage(path, block, [.. path.Store.All.Skip(before)]);
    }

    public Tensor Run(Tensor x, bool checkpoint)
    {
        if (checkpoint)
            return Autograd.Checkpoint(inputs => [Block.Forward(inputs[0])], [x], [.. Parameters.Select(static p => p.Value)])[0];
        // A node at the entrance adds up the block's own gradients before those of a tap, as recomputation does: the sums are then equal to
        // the bit.
        using var entrance = x.Alias();
        return Block.Forward(entrance);
    }
}

/// <summary>
/// The stages of a decoder, one for each tap, and the head that makes the image; run as deep as what is asked for lies, and no deeper.
/// </summary>
/// <param name="stages">From the latent's resolution to the image's.</param>
/// <param name="head">From the last stage's features to the image.</param>
/// <param name="taps">What each stage puts out.</param>
internal sealed class DecoderStages(IReadOnlyList<DecoderStage> stages, DecoderStage head, IReadOnlyList<DecoderTap> taps)
{
    public IReadOnlyList<DecoderTap> Taps => taps;

    /// <summary>
    /// Runs the stages. What comes out belongs to the caller's scope; <paramref name="x"/> is freed where nothing else needs it.
    /// </summary>
    /// <param name="x">The first stage's input.</param>
    /// <param name="request">Checked against <see cref="Taps"/>.</param>
    /// <param name="mix">Changes what goes into a stage (by number; the head's is the number of stages), or returns it as it is; null
    /// changes nothing.</param>
    public DecodedTaps Forward(Tensor x, TapRequest request, Func<int, Tensor, Tensor>? mix = null)
    {
        var last = request.Rgb ? stages.Count - 1 : request.Taps[^1];
        var features = new List<Tensor>(request.Taps.Count);
        var wanted = false;
        for (var k = 0; k <= last; k++)
        {
            var next = Run(stages[k], k);
            stages[k].Path.Observe(next);
            // Only the handle goes: where gradients are recorded, the graph holds what the backward pass needs.
            if (!wanted)
                x.Dispose();
            x = next;
            wanted = features.Count < request.Taps.Count && request.Taps[features.Count] == k;
            if (wanted)
                features.Add(x);
        }

        if (!request.Rgb)
            return new DecodedTaps(features, null);
        var image = Run(head, stages.Count);
        if (!wanted)
            x.Dispose();
        return new DecodedTaps(features, image);

        Tensor Run(DecoderStage stage, int number)
        {
            if (mix is null)
                return stage.Run(x, request.Checkpoint);
            var mixed = mix(number, x);
            var result = stage.Run(mixed, request.Checkpoint);
            if (!ReferenceEquals(mixed, x))
                mixed.Dispose();
            return result;
        }
    }
}
