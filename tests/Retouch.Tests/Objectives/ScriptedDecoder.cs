using Retouch.Autoencoders;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Objectives;

/// <summary>
/// A small decoder with four taps (scales 1, 2, 4, 4) and an image at scale 4 that records its calls. Smooth, for finite differences of
/// its losses.
/// </summary>
internal sealed class ScriptedDecoder : IAutoencoder
{
    private readonly Tensor[] _kernels;
    private readonly Tensor _last;

    public ScriptedDecoder(DType dtype = DType.Float64, ulong seed = 1)
    {
        using var generator = Generator.Create(Device.Cpu, seed);
        Tensor Kernel(long to, long from) => (Ops.Randn([to, from, 3, 3], generator, dtype: dtype) * 0.4).Escape();
        _kernels = [Kernel(3, 2), Kernel(3, 3), Kernel(2, 3), Kernel(2, 2)];
        _last = Kernel(3, 2);
    }

    public int LatentChannels => 2;

    public int Downsampling => 4;

    public IReadOnlyList<DecoderTap> Taps { get; } = [new("mid", 3, 1), new("up.0", 3, 2), new("up.1", 2, 4), new("up.2", 2, 4)];

    public bool ForceUpcast => false;

    public ParameterStore Parameters { get; } = new();

    /// <summary>All decodes: number of samples, request, whether gradients were recorded.</summary>
    public List<(long Samples, TapRequest Request, bool Recorded)> Calls { get; } = [];

    /// <summary>Number of runs of each stage, the image last.</summary>
    public int[] Stages { get; } = new int[5];

    /// <summary>Decoded latents, by their first element.</summary>
    public List<double> Seen { get; } = [];

    public Latent Encode(Tensor images, Generator? generator) => throw new NotSupportedException();

    public Tensor EncodeMoments(Tensor images) => throw new NotSupportedException();

    public Latent Draw(Tensor moments, Generator? generator) => throw new NotSupportedException();

    public Tensor Decode(Latent latent) => DecodeWithTaps(latent, new TapRequest([], Rgb: true)).Rgb!;

    public DecodedTaps DecodeWithTaps(Latent latent, TapRequest request)
    {
        Calls.Add((latent.Value.Shape[0], request, Autograd.IsEnabled && latent.Value.RequiresGrad));
        Seen.AddRange(latent.Value.Detach().Reshape([latent.Value.Shape[0], -1L]).Select(1, 0).ToArray<double>());
        var x = latent.Value;
        var features = new List<Tensor>();
        var deepest = request.Rgb ? Taps.Count - 1 : request.Taps[^1];
        for (var k = 0; k <= deepest; k++)
        {
            Stages[k]++;
            if (k > 0 && Taps[k].Scale > Taps[k - 1].Scale)
                x = x.UpsampleNearest2d([x.Shape[2] * 2, x.Shape[3] * 2]);
            x = x.Conv2d(_kernels[k], padding: [1, 1]);
            x = x.Tanh() + (0.3 * x);
            if (request.Taps.Contains(k))
                features.Add(x);
        }

        if (!request.Rgb)
            return new DecodedTaps(features, null);
        Stages[4]++;
        return new DecodedTaps(features, x.Conv2d(_last, padding: [1, 1]));
    }

    public void Dispose()
    {
        foreach (var kernel in _kernels)
            kernel.Dispose();
        _last.Dispose();
    }
}
