using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>
/// Decodes latents to images, up to the deepest requested output. Keys: <c>conv_in</c>, <c>mid_block</c>, <c>up_blocks.*</c>,
/// <c>conv_norm_out</c>, <c>conv_out</c>, and <c>condition_encoder</c> with a mask encoder.
/// </summary>
internal sealed class KlDecoder
{
    private readonly ParameterPath _convPath;
    private readonly Conv2d _convIn;
    private readonly DecoderStages _stages;
    private readonly MaskConditionEncoder? _condition;

    /// <param name="path">Path of the parameters.</param>
    /// <param name="config">Network configuration.</param>
    /// <param name="masked">Whether to build the mask encoder.</param>
    public KlDecoder(ParameterPath path, AutoencoderKlConfig config, bool masked = false)
    {
        var channels = config.BlockOutChannels.Reverse().ToArray();
        _convPath = path / "conv_in";
        _convIn = new Conv2d(_convPath, config.LatentChannels, channels[0], kernel: 3, padding: 1);
        var stages = new List<DecoderStage>();
        var taps = new List<DecoderTap>();
        var place = path / "mid_block";
        stages.Add(DecoderStage.Create(place, p => new KlMidBlock(p, channels[0], config.NormNumGroups, config.MidBlockAddAttention)));
        taps.Add(new DecoderTap(place.Name, channels[0], 1));
        for (var k = 0; k < channels.Length; k++)
        {
            place = path / "up_blocks" / k;
            var upsample = k < channels.Length - 1;
            stages.Add(
                DecoderStage.Create(
                    place,
                    p => new KlUpBlock(
                        p,
                        channels[Math.Max(k - 1, 0)],
                        channels[k],
                        config.LayersPerBlock + 1,
                        config.NormNumGroups,
                        upsample
                    )
                )
            );
            taps.Add(new DecoderTap(place.Name, channels[k], 1 << Math.Min(k + 1, channels.Length - 1)));
        }

        _condition = masked ? new MaskConditionEncoder(path / "condition_encoder", config) : null;
        _stages = new DecoderStages(
            stages,
            DecoderStage.Create(path, p => new KlHead(p, channels[^1], config.OutChannels, config.NormNumGroups)),
            taps
        );
    }

    public IReadOnlyList<DecoderTap> Taps => _stages.Taps;

    /// <summary>Decodes [N, latent, h, w]; the outputs belong to the caller's scope.</summary>
    public DecodedTaps Forward(Tensor z, TapRequest request) => _stages.Forward(_convPath.Observe(_convIn.Forward(z)), request);

    /// <summary>Masked decoding: image features replace the decoder's features where <paramref name="mask"/> is 0.</summary>
    /// <param name="z">[N, latent, h, w].</param>
    /// <param name="image">[N, 3, H, W].</param>
    /// <param name="mask">[N, 1, H, W]: 1 to decode the latent, 0 to keep the image.</param>
    /// <param name="request">Requested outputs.</param>
    public DecodedTaps Forward(Tensor z, Tensor image, Tensor mask, TapRequest request)
    {
        using var scope = TensorScope.Enter();
        var kept = _condition!.Forward((1 - mask) * image);
        var decoded = _stages.Forward(
            _convPath.Observe(_convIn.Forward(z)),
            request,
            (stage, x) => stage == 0 ? x : MaskConditionEncoder.Mix(x, kept, mask)
        );
        if (decoded.Rgb is not null)
            scope.Keep(decoded.Rgb);
        scope.Keep(decoded.Features);
        return decoded;
    }
}
