using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>A decoder stage with its path and parameters: the unit of taps and of activation checkpointing.</summary>
/// <param name="Path">Path under which the output is observed.</param>
/// <param name="Block">Block to run.</param>
/// <param name="Parameters">Parameters of the block.</param>
internal sealed record DecoderStage(ParameterPath Path, IKlBlock Block, IReadOnlyList<Parameter> Parameters)
{
    /// <summary>Builds a block and records the parameters it registers.</summary>
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
        // An alias node sums the block's own gradients before those of a tap, in the same order as checkpointing: both gradients are
        // then bitwise equal.
        using var entrance = x.Alias();
        return Block.Forward(entrance);
    }
}

/// <summary>
/// Decoder stages, one per tap, and the head that outputs the image; run only up to the deepest requested output.
/// </summary>
/// <param name="stages">Stages from the latent resolution to the image resolution.</param>
/// <param name="head">Maps the last stage's features to the image.</param>
/// <param name="taps">Tap of each stage.</param>
internal sealed class DecoderStages(IReadOnlyList<DecoderStage> stages, DecoderStage head, IReadOnlyList<DecoderTap> taps)
{
    public IReadOnlyList<DecoderTap> Taps => taps;

    /// <summary>
    /// Runs the stages. The outputs belong to the caller's scope; <paramref name="x"/> is disposed unless it is among them.
    /// </summary>
    /// <param name="x">Input of the first stage.</param>
    /// <param name="request">Request, already validated against <see cref="Taps"/>.</param>
    /// <param name="mix">Maps stage index (the head's is the number of stages) and stage input to a replacement input, or returns the
    /// input; null for none.</param>
    public DecodedTaps Forward(Tensor x, TapRequest request, Func<int, Tensor, Tensor>? mix = null)
    {
        var last = request.Rgb ? stages.Count - 1 : request.Taps[^1];
        var features = new List<Tensor>(request.Taps.Count);
        var wanted = false;
        for (var k = 0; k <= last; k++)
        {
            var next = Run(stages[k], k);
            stages[k].Path.Observe(next);
            // This releases the handle only; autograd keeps what the backward pass needs.
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
