using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Sd3;

/// <summary>
/// The transformer of Stable Diffusion 3 and networks of the same structure: patch embedding, embedding of timestep and pooled vector,
/// context projection, joint attention blocks, and a modulated output layer. Keys: those of diffusers' <c>SD3Transformer2DModel</c>.
/// </summary>
internal sealed class JointNetwork
{
    private const int TimeFeatures = 256;
    private const double OutputNormEps = 1e-6;

    private readonly JointShape _shape;
    private readonly ParameterStore _store;
    private readonly CroppedPatchEmbedding _patches;
    private readonly ParameterPath _embedderPath;
    private readonly TimestepEmbedding _time;
    private readonly TimestepEmbedding _pooled;
    private readonly ParameterPath _contextPath;
    private readonly Linear _context;
    private readonly JointBlock[] _joint = [];
    private readonly SharedBlock[] _shared = [];
    private readonly LayerNorm _outputNorm;
    private readonly ModulationSource _outputModulation;
    private readonly Linear _output;

    public JointNetwork(ParameterPath root, JointShape shape)
    {
        (_shape, _store) = (shape, root.Store);
        var width = shape.Width;
        _patches = new CroppedPatchEmbedding(root / "pos_embed", shape);
        _embedderPath = root / "time_text_embed";
        var start = Inits.Normal(0.02);
        _time = new TimestepEmbedding(_embedderPath / "timestep_embedder", TimeFeatures, width, start, Inits.Zeros);
        _pooled = new TimestepEmbedding(_embedderPath / "text_embedder", shape.PooledWidth, width, start, Inits.Zeros);
        _contextPath = root / "context_embedder";
        _context = MultiHeadAttention.Projection(_contextPath, shape.ContextWidth, width);
        var blocks = Enumerable
            .Range(0, shape.Layers)
            .Select(k => (Path: root / "transformer_blocks" / k, Index: k, Last: k == shape.Layers - 1));
        if (shape.SharedStreams)
            _shared = [.. blocks.Select(b => new SharedBlock(b.Path, shape, b.Last))];
        else
            _joint = [.. blocks.Select(b => new JointBlock(b.Path, shape, shape.DualLayers.Contains(b.Index), b.Last))];
        _outputNorm = new LayerNorm(root / "norm_out" / "norm", width, OutputNormEps, affine: false);
        _outputModulation = new ModulationSource(root / "norm_out", width, 2, shape.SharedStreams);
        _output = new Linear(
            root / "proj_out",
            width,
            (long)shape.Patch * shape.Patch * shape.OutChannels,
            weightInit: Inits.Zeros,
            biasInit: Inits.Zeros
        );
    }

    /// <summary>Network output.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width].</param>
    /// <param name="time">Timesteps [batch], in the units of pretraining.</param>
    /// <param name="context">[batch, words, context width].</param>
    /// <param name="pooled">[batch, pooled width].</param>
    /// <param name="checkpoint">Whether to recompute block activations in the backward pass.</param>
    /// <returns>[batch, out channels, height, width], in the dtype of the latents.</returns>
    /// <exception cref="InputException">Shapes do not match.</exception>
    public Tensor Forward(Tensor noisy, Tensor time, Tensor context, Tensor pooled, bool checkpoint)
    {
        Check(noisy, time, context, pooled);
        using var scope = TensorScope.Enter();
        var type = _store.InputType;
        var image = _patches.Forward(noisy.To(type));
        var embedding = _embedderPath
            .Observe(_time.Forward(Sinusoid.Features(time, TimeFeatures).To(type)) + _pooled.Forward(pooled.To(type)))
            .Silu();
        var words = _contextPath.Observe(_context.Forward(context.To(type)));
        var x = _shape.SharedStreams ? RunShared(image, words, embedding, checkpoint) : RunJoint(image, words, embedding, checkpoint);
        // The checkpoint stores scale before shift here.
        var m = _outputModulation.Forward(embedding);
        var tokens = _output.Forward(Modulation.Apply(_outputNorm.Forward(x), m[1], m[0]));
        return scope.Keep(PatchEmbedding.Assemble(tokens, noisy.Shape[2], noisy.Shape[3], _shape.Patch).To(noisy.DType));
    }

    private Tensor RunJoint(Tensor image, Tensor words, Tensor embedding, bool checkpoint)
    {
        foreach (var block in _joint)
        {
            var streams = BlockRunner.Run(checkpoint, i => block.Forward(i[0], i[1], i[2]), [image, words, embedding], block.Parameters);
            (image, words) = (streams[0], streams.Length > 1 ? streams[1] : words);
        }

        return image;
    }

    private Tensor RunShared(Tensor image, Tensor words, Tensor embedding, bool checkpoint)
    {
        var tokens = image.Shape[1];
        var x = Ops.Cat([image, words.To(image.DType)], 1);
        foreach (var block in _shared)
            x = BlockRunner.Run(checkpoint, i => [block.Forward(i[0], tokens, i[1])], [x, embedding], block.Parameters)[0];
        return x;
    }

    private void Check(Tensor noisy, Tensor time, Tensor context, Tensor pooled)
    {
        PatchEmbedding.Check(noisy, _shape.Network, _shape.Channels, _shape.Patch);
        var batch = noisy.Shape[0];
        if (time.Dim != 1 || time.Shape[0] != batch)
            throw new InputException($"{_shape.Network} takes one time per sample ({batch}), not [{string.Join(", ", time.Shape)}].");
        if (context.Dim != 3 || context.Shape[0] != batch || context.Shape[2] != _shape.ContextWidth)
            throw new InputException(
                $"{_shape.Network} takes prompt embeddings [{batch}, words, {_shape.ContextWidth}], not "
                    + $"[{string.Join(", ", context.Shape)}]."
            );
        if (pooled.Dim != 2 || pooled.Shape[0] != batch || pooled.Shape[1] != _shape.PooledWidth)
            throw new InputException(
                $"{_shape.Network} takes a pooled prompt vector [{batch}, {_shape.PooledWidth}], not "
                    + $"[{string.Join(", ", pooled.Shape)}]."
            );
    }
}
