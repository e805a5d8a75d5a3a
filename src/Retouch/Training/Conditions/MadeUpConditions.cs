using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Denoisers.Sd3;
using Retouch.Denoisers.UNet;
using Retouch.Torch;
using Retouch.Training.Tasks;

namespace Retouch.Training.Conditions;

/// <summary>Synthetic conditions of a denoiser, for benchmarks: labels of the samples, or random prompt embeddings.</summary>
internal sealed class MadeUpConditions : IConditionSource
{
    // Micro-conditioning of SDXL: six sizes.
    private const int Sizes = 6;

    private readonly Device _device;
    private readonly Condition? _prompt;

    /// <param name="denoiser">Determines the members of a condition.</param>
    /// <param name="tokens">Tokens of a prompt.</param>
    /// <param name="seed">Seed of the embeddings.</param>
    /// <param name="device">Device of the conditions.</param>
    public MadeUpConditions(IDenoiser denoiser, int tokens, ulong seed, Device device)
    {
        _device = device;
        if (denoiser.TextWidth is not { } width)
            return;
        using var generator = Generator.Create(Device.Cpu, seed);
        Tensor Random(params ReadOnlySpan<long> shape) => Ops.Randn(shape, generator, dtype: DType.Float32).To(device);
        var unet = (denoiser as UNet2DCondition)?.Config;
        var pooled = denoiser is Sd3Transformer2D sd3
            ? sd3.Config.PooledProjectionDim
            : unet?.ProjectionClassEmbeddingsInputDim - (Sizes * unet?.AdditionTimeEmbedDim);
        using var scope = TensorScope.Enter();
        _prompt = new Condition
        {
            Text = Random(1, tokens, width),
            Pooled = pooled is { } features ? Random(1, features) : null,
            TimeIds = unet?.AdditionTimeEmbedDim is null ? null : Ops.Full([1, Sizes], 512, dtype: DType.Float32).To(device),
        }.Escape();
    }

    /// <inheritdoc/>
    public Condition Of(TrainingBatch batch, StepSeeds? seeds) =>
        _prompt is { } prompt
            ? Condition.Cat([.. Enumerable.Repeat(prompt, batch.Samples.Count)])
            : new Condition(Tensor.From(batch.Samples.Select(static s => (long)s.Label!.Value).ToArray()).To(_device));

    /// <inheritdoc/>
    public void Dispose() => _prompt?.Free();
}
