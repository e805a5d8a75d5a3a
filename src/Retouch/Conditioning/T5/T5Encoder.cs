using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Conditioning.T5;

/// <summary>
/// T5 encoder (Raffel et al. 2020, section 2.1) with the parameters of transformers' <c>T5EncoderModel</c>: attention without the
/// factor 1/√d, with a learned relative position bias shared by all blocks. Construction allocates no tensors; initialise or load
/// <see cref="Parameters"/> next.
/// </summary>
public sealed class T5Encoder : IDisposable
{
    private const string Table = "shared.weight";

    // Some files store the embedding table under this name as well, some under this name only.
    private const string SecondTable = "encoder.embed_tokens.weight";

    private readonly Embedding _tokens;
    private readonly T5Block[] _blocks;
    private readonly Embedding _distances;
    private readonly T5Norm _finalNorm;

    /// <summary>Builds the network without allocating parameters.</summary>
    /// <exception cref="InputException">The configuration is inconsistent.</exception>
    public T5Encoder(T5Config config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate("T5");
        Config = config;
        var root = Parameters.Root;
        _tokens = new Embedding(root / "shared", config.VocabSize, config.DModel);
        _blocks = [.. Enumerable.Range(0, config.NumLayers).Select(k => new T5Block(root / "encoder" / "block" / k, config))];
        _distances = new Embedding(
            root / "encoder" / "block" / 0 / "layer" / 0 / "SelfAttention" / "relative_attention_bias",
            config.RelativeAttentionNumBuckets,
            config.NumHeads,
            Inits.Normal(1 / Math.Sqrt(config.DModel))
        );
        _finalNorm = new T5Norm(root / "encoder" / "final_layer_norm", config.DModel, config.LayerNormEpsilon);
    }

    /// <summary>Network configuration.</summary>
    public T5Config Config { get; }

    /// <summary>All parameters, by checkpoint key.</summary>
    public ParameterStore Parameters { get; } =
        new() { OtherKeys = static key => key == SecondTable ? Table : key, UnusedKeys = [SecondTable] };

    /// <summary>Device of the parameters.</summary>
    public Device Device => Parameters.All[0].Value.Device;

    /// <summary>Loads a checkpoint, which can have the token table under either of its two names or both.</summary>
    /// <param name="source">Checkpoint tensors.</param>
    /// <param name="device">Device of the parameters.</param>
    /// <param name="dtype">Parameter and compute dtype; null for the stored dtype, with float16 read as float32.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">Keys are missing or unexpected, shapes differ, or <paramref name="dtype"/> is float16, in which
    /// T5 overflows.</exception>
    public void Load(ITensorSource source, Device device, DType? dtype, string origin)
    {
        if (dtype == DType.Float16)
            throw new InputException($"'{origin}': T5's activations overflow in float16. Use bfloat16 or float32.");
        Parameters.Load(source, device, dtype, origin);
        if (dtype is null && Parameters.All.Any(static p => p.Value.DType == DType.Float16))
            Parameters.Load(source, device, DType.Float32, origin);
    }

    /// <summary>Encodes token ids. Differentiable with respect to weights that require gradients.</summary>
    /// <param name="ids">int64 [batch, tokens].</param>
    /// <param name="mask">int64 [batch, tokens], 0 for tokens that are not attended to; null for none.</param>
    /// <returns>[batch, tokens, width] in the dtype of the weights, after the final normalisation.</returns>
    /// <exception cref="InputException">Ids or mask have the wrong shape or dtype, or an id is out of range.</exception>
    public Tensor Forward(Tensor ids, Tensor? mask = null)
    {
        ArgumentNullException.ThrowIfNull(ids);
        TokenInputs.Check("T5", ids, mask, Config.VocabSize, null);
        using var scope = TensorScope.Enter();
        var states = Parameters.Root / "hidden_states";
        var x = _tokens.Forward(ids);
        var bias = Bias(ids.Shape[1], x.Device);
        if (mask is not null)
            bias = bias + AttentionMask.OfKeys(mask, bias.DType);
        for (var k = 0; k < _blocks.Length; k++)
        {
            var next = _blocks[k].Forward((states / k).Observe(x), bias);
            x.Dispose();
            x = next;
        }

        return (states / _blocks.Length).Observe(scope.Keep(_finalNorm.Forward(x)));
    }

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();

    /// <summary>
    /// Relative position bucket of a distance: half of the buckets per direction; in each half, one bucket per small distance, then
    /// buckets on a logarithmic scale.
    /// </summary>
    /// <param name="distance">Key position minus query position.</param>
    /// <param name="buckets">Number of buckets.</param>
    /// <param name="farthest">Distance from which all distances share a bucket.</param>
    internal static int Bucket(int distance, int buckets, int farthest)
    {
        var half = buckets / 2;
        var exact = half / 2;
        var (offset, length) = (distance > 0 ? half : 0, Math.Abs(distance));
        if (length < exact)
            return offset + length;
        // Computed in float32 as in pretraining: near a bucket boundary, float64 can give another bucket.
        var share = MathF.Log((float)length / exact) / (float)Math.Log((double)farthest / exact);
        return offset + Math.Min(exact + (int)(share * (half - exact)), half - 1);
    }

    /// <summary>Relative position bias [1, heads, tokens, tokens].</summary>
    private Tensor Bias(long tokens, Device device)
    {
        var n = checked((int)tokens);
        var rows = new long[checked((2 * n) - 1)];
        for (var k = 0; k < rows.Length; k++)
            rows[k] = Bucket(k - (n - 1), Config.RelativeAttentionNumBuckets, Config.RelativeAttentionMaxDistance);
        // The bias matrix is Toeplitz: its rows are sliding windows over the list of distances.
        var buckets = Tensor.From(rows).Unfold(0, n, 1).Flip([0]).To(device);
        return (Parameters.Root / "position_bias").Observe(_distances.Forward(buckets).Permute([2, 0, 1]).Unsqueeze(0));
    }
}
