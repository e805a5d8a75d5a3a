using Retouch.Autoencoders;
using Retouch.Data;
using Retouch.Torch;

namespace Retouch.Training.HeldOut;

/// <summary>
/// Fixed draws of a batch of held-out samples: noise, posterior noise and timesteps follow from seed, sample and part of the schedule, so
/// that they are the same at every validation, whatever the batch size, and no random stream of the training is used.
/// </summary>
/// <param name="Seed">Seed of the run.</param>
/// <param name="Samples">Index of each sample in the held-out data.</param>
/// <param name="Part">Part of the schedule.</param>
/// <param name="Fractions">Timestep of each sample as a fraction of the schedule, in [0, 1).</param>
public sealed record HeldOutDraws(ulong Seed, IReadOnlyList<int> Samples, int Part, IReadOnlyList<double> Fractions)
{
    private const ulong Purpose = 0x68656C646F7574;
    private const ulong OrderPurpose = 0x7374726174;

    /// <summary>
    /// Fractions of all samples in one part: with n samples and P parts the n · P fractions are the midpoints of n · P equal strata, so
    /// that each sample has one in each part; which one is a permutation by seed.
    /// </summary>
    /// <param name="seed">Seed of the run.</param>
    /// <param name="count">Number of held-out samples.</param>
    /// <param name="part">Part of the schedule, from 0.</param>
    /// <param name="parts">Number of parts.</param>
    public static double[] Strata(ulong seed, int count, int part, int parts)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        var random = new SplitMix64(SplitMix64.Derive(seed, OrderPurpose, (ulong)part));
        for (var i = count - 1; i > 0; i--)
        {
            var j = random.NextInt(i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }

        return Array.ConvertAll(order, k => (part + ((k + 0.5) / count)) / parts);
    }

    /// <summary>Generator of one sample, owned by the caller.</summary>
    /// <param name="position">Position in the batch.</param>
    /// <param name="purpose">Purpose of the numbers.</param>
    /// <param name="stream">0; 1 for losers with noise separate from their winners'.</param>
    public Generator For(int position, RandomPurpose purpose, int stream = 0) =>
        Generator.Create(
            Device.Cpu,
            SplitMix64.Derive(Seed, Purpose, (ulong)Samples[position], (ulong)Part, (ulong)purpose, (ulong)stream)
        );

    /// <summary>Noise of the batch, float32 on the CPU, in the current scope.</summary>
    /// <param name="shape">[samples, …].</param>
    /// <param name="purpose">Purpose of the noise.</param>
    /// <param name="stream">See <see cref="For"/>.</param>
    public Tensor Noise(IReadOnlyList<long> shape, RandomPurpose purpose = RandomPurpose.Noise, int stream = 0) =>
        EachOf(
            (int)shape[0],
            k =>
            {
                using var generator = For(k, purpose, stream);
                return Ops.Randn([1, .. shape.Skip(1)], generator, dtype: DType.Float32);
            }
        );

    /// <summary>Latents of the batch, in the current scope.</summary>
    /// <param name="autoencoder">Samples the posterior.</param>
    /// <param name="moments">Encoder output, [samples, …].</param>
    /// <param name="stream">See <see cref="For"/>.</param>
    public Latent Latents(IAutoencoder autoencoder, Tensor moments, int stream = 0) =>
        new(
            EachOf(
                (int)moments.Shape[0],
                k =>
                {
                    using var generator = For(k, RandomPurpose.Posterior, stream);
                    return autoencoder.Draw(moments.Narrow(0, k, 1), generator).Value;
                }
            )
        );

    private static Tensor EachOf(int count, Func<int, Tensor> draw)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(Ops.Cat([.. Enumerable.Range(0, count).Select(draw)], 0));
    }
}
