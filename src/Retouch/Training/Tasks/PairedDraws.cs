using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Training.Tasks;

/// <summary>
/// What the two samples of a pair share in a batch [winners; losers; single samples]: timestep and condition always, noise and the
/// posterior's noise unless they are separate.
/// </summary>
/// <param name="noise">Whether noise is shared.</param>
internal sealed class PairedDraws(PairNoise noise)
{
    /// <summary>
    /// A condition of [winners; single samples] as one of [winners; losers; single samples]: both of a pair are told the same.
    /// </summary>
    public static Condition Spread(Condition condition, int pairs, int singles)
    {
        var winners = condition.Narrow(0, pairs);
        var both = winners.Concat(winners);
        return singles == 0 ? both : both.Concat(condition.Narrow(pairs, singles));
    }

    /// <summary>Times of [winners; single samples] as those of the whole batch: both of a pair have the same.</summary>
    public static double[] Spread(double[] times, int pairs) => [.. times[..pairs], .. times];

    /// <summary>Noise of the whole batch, [2 · pairs + singles, …], on the CPU.</summary>
    /// <param name="shape">Of the batch.</param>
    /// <param name="pairs">Pairs in it.</param>
    /// <param name="generator">Draws it.</param>
    public Tensor Noise(IReadOnlyList<long> shape, int pairs, Generator generator)
    {
        if (noise == PairNoise.Separate)
            return Ops.Randn([.. shape], generator, dtype: DType.Float32);
        using var scope = TensorScope.Enter();
        var drawn = Ops.Randn([shape[0] - pairs, .. shape.Skip(1)], generator, dtype: DType.Float32);
        return scope.Keep(Ops.Cat([drawn.Narrow(0, 0, pairs), drawn], 0));
    }

    /// <summary>Latents of the whole batch; with shared noise, the noise of the encoder's posterior is shared as well.</summary>
    /// <param name="autoencoder">Draws them.</param>
    /// <param name="moments">The encoder's output.</param>
    /// <param name="pairs">Pairs in the batch.</param>
    /// <param name="generator">Draws for winners and single samples.</param>
    /// <param name="again">In the same state: draws for losers.</param>
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
