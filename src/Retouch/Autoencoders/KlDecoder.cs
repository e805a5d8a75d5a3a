using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>Latents to images, stopping where nothing deeper is wanted. Keys: <c>conv_in</c>, <c>mid_block</c>, <c>up_blocks.*</c>, <c>conv_norm_out</c>, <c>conv_out</c>.</summary>
internal sealed class KlDecoder
{
    private readonly ParameterPath _convPath;
    private readonly Conv2d _convIn;
    private readonly Stage[] _stages;
    private readonly Stage _head;

    public KlDecoder(ParameterPath path, AutoencoderKlConfig config)
    {
        var channels = config.BlockOutChannels.Reverse().ToArray();
        _convPath = path / "conv_in";
        _convIn = new Conv2d(_convPath, config.LatentChannels, channels[0], kernel: 3, padding: 1);
        var stages = new List<Stage>();
        var taps = new List<DecoderTap>();
        var place = path / "mid_block";
        stages.Add(Stage.Create(place, p => new KlMidBlock(p, channels[0], config.NormNumGroups, config.MidBlockAddAttention)));
        taps.Add(new DecoderTap(place.Name, channels[0], 1));
        for (var k = 0; k < channels.Length; k++)
        {
            place = path / "up_blocks" / k;
            var upsample = k < channels.Length - 1;
            stages.Add(Stage.Create(place, p => new KlUpBlock(p, channels[Math.Max(k - 1, 0)], channels[k], config.LayersPerBlock + 1, config.NormNumGroups, upsample)));
            taps.Add(new DecoderTap(place.Name, channels[k], 1 << Math.Min(k + 1, channels.Length - 1)));
        }

        _stages = [.. stages];
        _head = Stage.Create(path, p => new KlHead(p, channels[^1], config.OutChannels, config.NormNumGroups));
        Taps = taps;
    }

    public IReadOnlyList<DecoderTap> Taps { get; }

    /// <summary>[N, latent, h, w]; what comes out belongs to the caller's scope.</summary>
    public DecodedTaps Forward(Tensor z, TapRequest request)
    {
        var last = request.Rgb ? _stages.Length - 1 : request.Taps[^1];
        var features = new List<Tensor>(request.Taps.Count);
        var x = _convPath.Observe(_convIn.Forward(z));
        var wanted = false;
        for (var k = 0; k <= last; k++)
        {
            var next = _stages[k].Path.Observe(_stages[k].Run(x, request.Checkpoint));
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
        var image = _head.Run(x, request.Checkpoint);
        if (!wanted)
            x.Dispose();
        return new DecodedTaps(features, image);
    }

    /// <summary>A block with its place and its parameters: the unit of recomputation.</summary>
    private sealed record Stage(ParameterPath Path, IKlBlock Block, IReadOnlyList<Parameter> Parameters)
    {
        public static Stage Create(ParameterPath path, Func<ParameterPath, IKlBlock> create)
        {
            var before = path.Store.All.Count;
            var block = create(path);
            return new Stage(path, block, [.. path.Store.All.Skip(before)]);
        }

        public Tensor Run(Tensor x, bool checkpoint)
        {
            if (checkpoint)
                return Autograd.Checkpoint(inputs => [Block.Forward(inputs[0])], [x], [.. Parameters.Select(static p => p.Value)])[0];
            // A node at the entrance adds up the block's own gradients before those of a tap, as recomputation does: the sums are then equal to the bit.
            using var entrance = x.Alias();
            return Block.Forward(entrance);
        }
    }
}
