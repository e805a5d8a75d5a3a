using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.PixArt;

/// <summary>
/// Embedding of the timestep, and of the image size if conditioned on, shared by all blocks (adaLN-single; Chen et al., "PixArt-α",
/// 2023, section 2.3). Keys: <c>emb.timestep_embedder</c>, <c>emb.resolution_embedder</c>, <c>emb.aspect_ratio_embedder</c>,
/// <c>linear</c>.
/// </summary>
internal sealed class PixArtTimeEmbedding
{
    /// <summary>Number of sinusoidal features of the timestep and of each size value.</summary>
    public const int Features = 256;

    private readonly TimestepEmbedding _time;
    private readonly TimestepEmbedding? _resolution;
    private readonly TimestepEmbedding? _aspect;
    private readonly Linear _linear;

    public PixArtTimeEmbedding(ParameterPath path, int width, bool size)
    {
        var start = Inits.Normal(0.02);
        _time = new TimestepEmbedding(path / "emb" / "timestep_embedder", Features, width, start, Inits.Zeros);
        if (size)
        {
            _resolution = new TimestepEmbedding(path / "emb" / "resolution_embedder", Features, width / 3, start, Inits.Zeros);
            _aspect = new TimestepEmbedding(path / "emb" / "aspect_ratio_embedder", Features, width / 3, start, Inits.Zeros);
        }

        _linear = new Linear(path / "linear", width, 6L * width, weightInit: start, biasInit: Inits.Zeros);
    }

    /// <summary>The embedding [batch, width] and the blocks' shared modulation [batch, 6, width].</summary>
    /// <param name="time">Timesteps [batch].</param>
    /// <param name="size">Image height and width in pixels, [batch, 2]; null without size conditioning.</param>
    /// <param name="ratio">Height over width, [batch]; null to compute it from <paramref name="size"/>.</param>
    /// <param name="type">Dtype of the weights.</param>
    public (Tensor Embedding, Tensor Modulation) Forward(Tensor time, Tensor? size, Tensor? ratio, DType type)
    {
        using var scope = TensorScope.Enter();
        var embedding = _time.Forward(Sinusoid.Features(time, Features).To(type));
        if (size is not null)
        {
            var batch = size.Shape[0];
            var sides = size.To(DType.Float32);
            // Height and width are embedded separately; the concatenation order is height, width, ratio.
            var resolution = _resolution!.Forward(Sinusoid.Features(sides.Flatten(), Features).To(type)).Reshape([batch, -1]);
            var shape = ratio?.To(DType.Float32) ?? (sides.Select(1, 0) / sides.Select(1, 1));
            var aspect = _aspect!.Forward(Sinusoid.Features(shape, Features).To(type));
            embedding += Ops.Cat([resolution, aspect], 1);
        }

        var modulation = _linear.Forward(embedding.Silu()).View([embedding.Shape[0], 6, -1]);
        return (scope.Keep(embedding), scope.Keep(modulation));
    }
}
