using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Dit;

/// <summary>
/// The class-conditional diffusion transformer (Peebles and Xie, "Scalable Diffusion Models with Transformers", 2023) with the
/// parameters of diffusers' <c>DiTTransformer2DModel</c>. Construction allocates no tensors; initialise or load
/// <see cref="Parameters"/> next.
/// </summary>
public sealed class DiTTransformer2D : IDenoiser
{
    private const double OutputNormEps = 1e-6;

    private readonly PatchEmbedding _patches;
    private readonly DiTBlock[] _blocks;
    private readonly LayerNorm _outputNorm;
    private readonly Linear _outputModulation;
    private readonly Linear _output;

    /// <summary>Builds the network without allocating parameters. Initialisation sets gates and output layer to zero.</summary>
    /// <exception cref="InputException">The configuration is inconsistent.</exception>
    public DiTTransformer2D(DiTConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate("DiT");
        Config = config;
        var root = Parameters.Root;
        _patches = new PatchEmbedding(
            root / "pos_embed",
            config.InChannels,
            config.Width,
            config.PatchSize,
            config.SampleSize / config.PatchSize
        );
        _blocks = [.. Enumerable.Range(0, config.NumLayers).Select(k => new DiTBlock(root / "transformer_blocks" / k, config))];
        _outputNorm = new LayerNorm(root / "norm_out", config.Width, OutputNormEps, affine: false);
        _outputModulation = new Linear(
            root / "proj_out_1",
            config.Width,
            2L * config.Width,
            weightInit: Inits.Zeros,
            biasInit: Inits.Zeros
        );
        _output = new Linear(
            root / "proj_out_2",
            config.Width,
            (long)config.PatchSize * config.PatchSize * config.Outputs,
            weightInit: Inits.Zeros,
            biasInit: Inits.Zeros
        );
    }

    /// <summary>Network configuration.</summary>
    public DiTConfig Config { get; }

    /// <inheritdoc/>
    public int LatentChannels => Config.InChannels;

    /// <inheritdoc/>
    public int SampleSize => Config.SampleSize;

    /// <inheritdoc/>
    public int? ClassCount => Config.NumEmbedsAdaNorm;

    /// <inheritdoc/>
    public int? TextWidth => null;

    /// <inheritdoc/>
    public ParameterStore Parameters { get; } = new();

    /// <inheritdoc/>
    public bool CheckpointActivations { get; set; }

    /// <inheritdoc/>
    public Prediction Predict(Tensor noisy, Tensor time, Condition condition)
    {
        ArgumentNullException.ThrowIfNull(condition);
        var labels = condition.LabelsOf(Config.NumEmbedsAdaNorm);
        using var scope = TensorScope.Enter();
        var output = Forward(noisy, time, labels);
        return new Prediction(scope.Keep(Config.Outputs == Config.InChannels ? output : output.Narrow(1, 0, Config.InChannels)));
    }

    /// <summary>Full network output, including a learned variance.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width]; sides divisible by the patch side.</param>
    /// <param name="time">Timesteps [batch], in the units of pretraining (steps up to 1000, or 1000·t); integer or floating.</param>
    /// <param name="labels">Class labels, int64 [batch], from 0 to the number of classes (no class).</param>
    /// <returns>[batch, out channels, height, width], in the dtype of the latents.</returns>
    /// <exception cref="InputException">Shapes do not match, or a label is out of range.</exception>
    public Tensor Forward(Tensor noisy, Tensor time, Tensor labels)
    {
        Check(noisy, time, labels);
        using var scope = TensorScope.Enter();
        var type = Parameters.InputType;
        var features = Sinusoid.Features(time, DiTBlock.TimeFeatures, frequencyShift: 1).To(type);
        var x = _patches.Forward(noisy.To(type));
        var first = _blocks[0].Embed(features, labels);
        for (var k = 0; k < _blocks.Length; k++)
            x = Run(_blocks[k], x, k == 0 ? first : _blocks[k].Embed(features, labels));
        var modulation = _outputModulation.Forward(first).Unsqueeze(1).Chunk(2, -1);
        var tokens = _output.Forward(Modulation.Apply(_outputNorm.Forward(x), modulation[0], modulation[1]));
        return scope.Keep(PatchEmbedding.Assemble(tokens, noisy.Shape[2], noisy.Shape[3], Config.PatchSize).To(noisy.DType));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _patches.Dispose();
        Parameters.Dispose();
    }

    private Tensor Run(DiTBlock block, Tensor x, Tensor embedding) =>
        BlockRunner.Run(CheckpointActivations, inputs => [block.Forward(inputs[0], inputs[1])], [x, embedding], block.Parameters)[0];

    private void Check(Tensor noisy, Tensor time, Tensor labels)
    {
        PatchEmbedding.Check(noisy, "DiT", Config.InChannels, Config.PatchSize);
        var batch = noisy.Shape[0];
        if (time.Dim != 1 || time.Shape[0] != batch || labels.Dim != 1 || labels.Shape[0] != batch)
            throw new InputException(
                $"DiT takes one time and one label per sample ({batch}), not [{string.Join(", ", time.Shape)}] and "
                    + $"[{string.Join(", ", labels.Shape)}]."
            );
        // On an accelerator this check would synchronise with the device; labels from a data source are already in range.
        if (
            labels.Device.Type == DeviceType.Cpu
            && labels.ToArray<long>() is var values
            && Array.Exists(values, v => v < 0 || v > Config.NumEmbedsAdaNorm)
        )
            throw new InputException($"Labels [{string.Join(", ", values)}] must lie between 0 and {Config.NumEmbedsAdaNorm} (no class).");
    }
}
