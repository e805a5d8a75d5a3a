using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Training.Tasks;

/// <summary>
/// Random draws shared by the two samples of a pair in a batch [winners; losers; single samples]: timestep and condition always, noise and
/// posterior noise unless they are separate.
/// </summary>
/// <param name="noise">Whether noise is shared.</param>
internal sealed class PairedDraws(PairNoise noise)
{
    /// <summary>Whether winner and loser share their noise.</summary>
    public bool IsShared => noise == PairNoise.Shared;

    /// <summary>
    /// Expands a condition of [winners; single samples] to [winners; losers; single samples]: both samples of a pair share it.
    /// </summary>
    public static Condition Spread(Condition condition, int pairs, int singles)
    {
        var winners = condition.Narrow(0, pairs);
        var both = winners.Concat(winners);
        return singles == 0 ? both : both.Concat(condition.Narrow(pairs, singles));
    }

    /// <summary>Expands timesteps of [winners; single samples] to the whole batch: both samples of a pair share one.</summary>
    public static double[] Spread(double[] times, int pairs) => [.. times[..pairs], .. times];

    /// <summary>Noise of the whole batch, [2 · pairs + singles, …], on the CPU.</summary>
    /// <param name="shape">Shape of the batch.</param>
    /// <param name="pairs">Number of pairs.</param>
    /// <param name="generator">Random generator.</param>
    public Tensor Noise(IReadOnlyList<long> shape, int pairs, Generator generator)
    {
        if (noise == PairNoise.Separate)
            return Ops.Randn([.. shape], generator, dtype: DType.Float32);
        using var scope = TensorScope.Enter();
        var drawn = Ops.Randn([shape[0] - pairs, .. shape.Skip(1)], generator, dtype: DType.Float32);
        return scope.Keep(Ops.Cat([drawn.Narrow(0, 0, pairs), drawn], 0));
    }

    /// <summary>Latents of the whole batch; with shared noise, posterior noise is shared as well.</summary>
    /// <param name="autoencoder">Samples the posterior.</param>
    /// <param name="moments">Encoder output.</param>
    /// <param name="pairs">Number of pairs.</param>
    /// <param name="generator">Generator for winners and single samples.</param>
    /// <param name="again">Generator in the same state, for losers.</param>
    public Latent Draw(IAutoencoder autoencoder, Tensor moments, int pairs, Generator generator, Generator again)
    {
        if (noise == PairNoise.Separate)
            return autoencoder.Draw(moments, generator);
        using var scope = TensorScope.Enter();
        var singles = moments.Shape[0] - (2 * pairs);
        List<Tensor> parts =
        [
            autoencoder.Draw(moments.Narrow(0, 0, pairs), generator).Value,
            autoencoder.Draw(moments.Narrow(0, pairs, pairs), again).Value,
        ];
        if (singles > 0)
            parts.Add(autoencoder.Draw(moments.Narrow(0, 2 * pairs, singles), generator).Value);
        return new Latent(scope.Keep(Ops.Cat([.. parts], 0)));
    }
}
