using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Conditioning.T5;

/// <summary>
/// T5's encoder (Raffel et al. 2020, section 2.1) with the parameters of transformers' <c>T5EncoderModel</c>: attention without 1/√d, and
/// with a learned bias by distance whose table all blocks share. Construction allocates nothing: initialise or load
/// <see cref="Parameters"/> next.
/// </summary>
public sealed class T5Encoder : IDisposable
{
    private const string Table = "shared.weight";

    // Some files hold the table under this name as well, some under it alone.
    private const string SecondTable = "encoder.embed_tokens.weight";

    private readonly Embedding _tokens;
    private readonly T5Block[] _blocks;
    private readonly Embedding _distances;
    private readonly T5Norm _finalNorm;

    /// <summary>Builds the network without memory for its parameters.</summary>
    /// <exception cref="InputException">Members of the configuration do not fit each other.</exception>
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

    /// <summary>Its shape.</summary>
    public T5Config Config { get; }

    /// <summary>Its tensors.</summary>
    public ParameterStore Parameters { get; } = new();

    /// <summary>Where its weights are.</summary>
    public Device Device => Parameters.All[0].Value.Device;

    /// <summary>Fills the network from a checkpoint, whose token table may go by either of its two names, or both.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <param name="dtype">Their type, in which the network then computes; null keeps the stored one, but reads float16 as float32.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Keys are missing, unexpected or of another shape; or float16 is asked for, in which T5
    /// overflows.</exception>
    public void Load(ITensorSource source, Device device, DType? dtype, string origin)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (dtype == DType.Float16)
            throw new InputException($"'{origin}': T5's activations overflow in float16. Use bfloat16 or float32.");
        var names = source.Names.ToHashSet(StringComparer.Ordinal);
        if (!names.Contains(Table) && names.Contains(SecondTable))
            source = new Renamed(source, SecondTable, Table);
        else
            StoredBuffers.Adopt(Parameters, source, SecondTable);
        Parameters.Load(source, device, dtype, origin);
        if (dtype is null && Parameters.All.Any(static p => p.Value.DType == DType.Float16))
            Parameters.Load(source, device, DType.Float32, origin);
    }

    /// <summary>Encodes token ids; gradients flow where the weights require them.</summary>
    /// <param name="ids">int64 [batch, tokens].</param>
    /// <param name="mask">int64 [batch, tokens], 0 for tokens that nothing may look at; null where all count.</param>
    /// <returns>[batch, tokens, width] in the weights' type, after the final normalisation.</returns>
    /// <exception cref="InputException">The ids or the mask do not fit.</exception>
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
    /// Which row of the table a distance has: half of the rows for each direction, half of those for one distance each, the rest on a
    /// logarithmic scale.
    /// </summary>
    /// <param name="distance">Position looked at minus position that looks.</param>
    /// <param name="buckets">Rows.</param>
    /// <param name="farthest">From here on all distances share a row.</param>
    internal static int Bucket(int distance, int buckets, int farthest)
    {
        var half = buckets / 2;
        var exact = half / 2;
        var (offset, length) = (distance > 0 ? half : 0, Math.Abs(distance));
        if (length < exact)
            return offset + length;
        // In float32, as the tables were trained: a logarithm on the border between two rows may fall to either side.
        var share = MathF.Log((float)length / exact) / (float)Math.Log((double)farthest / exact);
        return offset + Math.Min(exact + (int)(share * (half - exact)), half - 1);
    }

    /// <summary>[1, heads, tokens, tokens].</summary>
    private Tensor Bias(long tokens, Device device)
    {
        var n = checked((int)tokens);
        var rows = new long[checked((2 * n) - 1)];
        for (var k = 0; k < rows.Length; k++)
            rows[k] = Bucket(k - (n - 1), Config.RelativeAttentionNumBuckets, Config.RelativeAttentionMaxDistance);
        // Every diagonal has one distance: a window that slides over the list of distances is a row of the matrix.
        var buckets = Tensor.From(rows).Unfold(0, n, 1).Flip([0]).To(device);
        return (Parameters.Root / "position_bias").Observe(_distances.Forward(buckets).Permute([2, 0, 1]).Unsqueeze(0));
    }

    private sealed class Renamed(ITensorSource source, string from, string to) : ITensorSource
    {
        public IEnumerable<string> Names => source.Names.Select(name => name == from ? to : name);

        public long[] ShapeOf(string name) => source.ShapeOf(name == to ? from : name);

        public Tensor Read(string name) => source.Read(name == to ? from : name);

        public Tensor ReadOwned(string name) => source.ReadOwned(name == to ? from : name);
    }
}
