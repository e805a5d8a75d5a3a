using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>Options of the quantised states of <see cref="AdamW8Bit"/>.</summary>
public sealed record EightBitOptions
{
    /// <summary>Elements per block, which share a scale: 256, or 2048 as in the paper; from 16 to 65536.</summary>
    [Bounds(AtLeast = 16, AtMost = 65536)]
    public int Block { get; init; } = 256;

    /// <summary>Tensors with fewer elements keep float32 states, at least 0.</summary>
    [Bounds(AtLeast = 0)]
    public long Smallest { get; init; } = 4096;
}

/// <summary>
/// AdamW with two bytes of state per weight: both moments are quantised in blocks to the nearest value of a <see cref="ByteMap"/> (Dettmers
/// et al., 2022). An update decodes, updates and encodes a few blocks at a time; the weights change by the moments before encoding. Small
/// tensors have float32 moments.
/// </summary>
public sealed class AdamW8Bit : Optimiser
{
    // Elements that are decoded at once: in the cache of a processor, and enough for a kernel on a GPU.
    private const long OnCpu = 1 << 17;
    private const long OnDevice = 1 << 22;

    private readonly AdamWOptions _options;
    private readonly EightBitOptions _bits;
    private readonly DecayGroups _groups;
    private readonly Moments[] _states;
    private readonly ByteMap _signed;
    private readonly ByteMap _unsigned;

    /// <param name="parameters">Trained parameters, in float32 or bfloat16; each must have a value.</param>
    /// <param name="options">Options of the update.</param>
    /// <param name="bits">Options of the states.</param>
    /// <param name="roundingSeeds">Seed of the stochastic rounding of a step; see <see cref="Optimiser"/>.</param>
    public AdamW8Bit(IEnumerable<Parameter> parameters, AdamWOptions options, EightBitOptions bits, Func<long, ulong>? roundingSeeds = null)
        : base(parameters, roundingSeeds)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(bits);
        (_options, _bits) = (options, bits);
        _groups = new DecayGroups(Parameters, options.WeightDecay, options.DecayOn);
        var device = Parameters.Count == 0 ? Device.Cpu : Parameters[0].Value.Device;
        (_signed, _unsigned) = (new ByteMap(signed: true, device), new ByteMap(signed: false, device));
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        _states = [.. Parameters.Select(Create)];
    }

    /// <summary>Bytes of the state of a parameter: two per element and two scales per block, or two float32 moments.</summary>
    /// <param name="parameter">The parameter.</param>
    /// <param name="bits">Options of the states.</param>
    public static long BytesOf(Parameter parameter, EightBitOptions bits)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        ArgumentNullException.ThrowIfNull(bits);
        var count = parameter.Count;
        return count < bits.Smallest ? AdamW.BytesOf(parameter) : 2 * (count + (sizeof(float) * Blocks(count, bits.Block)));
    }

    /// <inheritdoc/>
    public override IEnumerable<KeyValuePair<string, Tensor>> State()
    {
        for (var k = 0; k < Parameters.Count; k++)
        {
            var (name, state) = (Parameters[k].Name, _states[k]);
            yield return new($"exp_avg.{name}", state.First);
            yield return new($"exp_avg_sq.{name}", state.Second);
            if (state.FirstScales is not { } scales)
                continue;
            yield return new($"exp_avg_scale.{name}", scales);
            yield return new($"exp_avg_sq_scale.{name}", state.SecondScales!);
        }
    }

    private protected override void Update(int[] indices, Tensor[] values, Tensor[] gradients, double rate)
    {
        for (var k = 0; k < indices.Length; k++)
        {
            var (value, gradient) = (values[k].View([-1]), gradients[k].View([-1]));
            var (state, decay) = (_states[indices[k]], _groups[indices[k]]);
            if (state.FirstScales is null)
                Change(value, gradient, state.First.View([-1]), state.Second.View([-1]), rate, decay);
            else
                ByBlocks(value, gradient, state, rate, decay);
        }
    }

    private protected override void Free()
    {
        _signed.Dispose();
        _unsigned.Dispose();
    }

    private static long Blocks(long count, int block) => (count + block - 1) / block;

    private Moments Create(Parameter parameter)
    {
        if (parameter.Count < _bits.Smallest)
            return new Moments(Zeros(parameter), Zeros(parameter), null, null);
        var device = parameter.Value.Device;
        Tensor Codes(ByteMap map) => Ops.Full([parameter.Count], map.Zero, dtype: DType.UInt8, device: device).Escape();
        long[] blocks = [Blocks(parameter.Count, _bits.Block)];
        return new Moments(Codes(_signed), Codes(_unsigned), Zeros(parameter, blocks), Zeros(parameter, blocks));
    }

    private void ByBlocks(Tensor value, Tensor gradient, Moments state, double rate, double decay)
    {
        var (count, block) = (value.Count, (long)_bits.Block);
        var most = Math.Max(1, (value.Device.Type == DeviceType.Cpu ? OnCpu : OnDevice) / block) * block;
        for (long begin = 0; begin < count; )
        {
            using var scope = TensorScope.Enter();
            // The last block can be shorter.
            var rest = count - begin;
            var width = Math.Min(block, rest);
            var length = Math.Min(most, rest / width * width);
            Tensor Elements(Tensor all) => all.Narrow(0, begin, length);
            Tensor Scales(Tensor all) => all.Narrow(0, begin / block, length / width);
            var (firstCodes, firstScales) = (Elements(state.First), Scales(state.FirstScales!));
            var (secondCodes, secondScales) = (Elements(state.Second), Scales(state.SecondScales!));
            var first = _signed.Decode(firstCodes, firstScales, width);
            var second = _unsigned.Decode(secondCodes, secondScales, width);
            Change(Elements(value).View([-1, width]), Elements(gradient).View([-1, width]), first, second, rate, decay);
            _signed.Encode(first, firstCodes, firstScales);
            _unsigned.Encode(second, secondCodes, secondScales);
            begin += length;
        }
    }

    /// <summary>The update of AdamW.</summary>
    private void Change(Tensor value, Tensor gradient, Tensor first, Tensor second, double rate, double decay)
    {
        using var scope = TensorScope.Enter();
        var bias1 = 1 - Math.Pow(_options.Beta1, Steps);
        var bias2 = 1 - Math.Pow(_options.Beta2, Steps);
        first.MulInPlace(_options.Beta1);
        first.AddInPlace(gradient, 1 - _options.Beta1);
        second.MulInPlace(_options.Beta2);
        second.AddcmulInPlace(gradient, gradient, 1 - _options.Beta2);
        var root = second.Sqrt();
        root.DivInPlace(Math.Sqrt(bias2));
        root.AddInPlace(_options.Epsilon);
        if (decay != 0)
            value.MulInPlace(1 - (rate * decay));
        value.AddcdivInPlace(first, root, -rate / bias1);
    }

    /// <summary>Moments of a parameter: codes with scales of their blocks, or float32 without.</summary>
    private sealed record Moments(Tensor First, Tensor Second, Tensor? FirstScales, Tensor? SecondScales);
}
