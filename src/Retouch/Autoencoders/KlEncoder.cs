using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>
/// Encodes images to the moments of the posterior. Keys: <c>conv_in</c>, <c>down_blocks.*</c>, <c>mid_block</c>,
/// <c>conv_norm_out</c>, <c>conv_out</c>.
/// </summary>
internal sealed class KlEncoder
{
    private readonly ParameterPath _convPath;
    private readonly Conv2d _convIn;
    private readonly (ParameterPath Path, IKlBlock Block)[] _stages;
    private readonly KlHead _head;

    public KlEncoder(ParameterPath path, AutoencoderKlConfig config)
    {
        var channels = config.BlockOutChannels;
        _convPath = path / "conv_in";
        _convIn = new Conv2d(_convPath, config.InChannels, channels[0], kernel: 3, padding: 1);
        var stages = new List<(ParameterPath, IKlBlock)>();
        for (var k = 0; k < channels.Count; k++)
        {
            var place = path / "down_blocks" / k;
            stages.Add(
                (
                    place,
                    new KlDownBlock(
                        place,
                        channels[Math.Max(k - 1, 0)],
                        channels[k],
                        config.LayersPerBlock,
                        config.NormNumGroups,
                        k < channels.Count - 1
                    )
                )
            );
        }

        stages.Add(
            (path / "mid_block", new KlMidBlock(path / "mid_block", channels[^1], config.NormNumGroups, config.MidBlockAddAttention))
        );
        _stages = [.. stages];
        _head = new KlHead(path, channels[^1], 2 * config.LatentChannels, config.NormNumGroups);
    }

    /// <summary>[N, in, H, W] to [N, 2·latent, H/f, W/f], with f the downsampling.</summary>
    public Tensor Forward(Tensor images)
    {
        var x = _convPath.Observe(_convIn.Forward(images));
        foreach (var (path, block) in _stages)
        {
            using var previous = x;
            x = path.Observe(block.Forward(previous));
        }

        using (x)
            return _head.Forward(x);
    }
}
