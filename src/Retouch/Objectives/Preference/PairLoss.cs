using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Objectives.Preference;

/// <summary>Preference loss from errors of winners and losers: [PIX] eq. 4–7, independent of the space of the errors.</summary>
/// <param name="name">Log name of the term.</param>
/// <param name="space">Space of the errors.</param>
/// <param name="options">Method, link and γ.</param>
/// <param name="beta">β, including its scaling.</param>
internal sealed class PairLoss(string name, PreferenceSpace space, PreferenceOptions options, double beta)
{
    /// <summary>Pairs of a batch.</summary>
    /// <exception cref="UsageException">The batch has no pairs.</exception>
    public static PairedSamples PairsOf(ObjectiveInputs inputs) =>
        inputs.Pairs ?? throw new UsageException("objective.preference needs pairs of a winner and a loser; name them with data.pairs.");

    /// <summary>Precomputed errors of the reference model, [2 · pairs], or null.</summary>
    public Tensor? Precomputed(PairedSamples pairs) => options.NeedsReference ? pairs.ReferenceErrors?.GetValueOrDefault(space) : null;

    /// <summary>Loss: a scalar in the graph of <paramref name="errors"/>.</summary>
    /// <param name="errors">[2 · pairs or more], winners first, then losers.</param>
    /// <param name="reference">Errors of the reference model, of the same shape; null for SimPO.</param>
    /// <param name="active">One entry per sample; a pair is active if both its samples are.</param>
    /// <param name="pairs">Pairs of the batch.</param>
    /// <param name="divisor">Maps the number of active pairs to the divisor of their sum.</param>
    /// <param name="health">Receives accuracy, margin and errors.</param>
    public Tensor Evaluate(
        Tensor errors,
        Tensor? reference,
        IReadOnlyList<bool>? active,
        int pairs,
        Func<int, double> divisor,
        HealthLog health
    )
    {
        if (options.NeedsReference && reference is null)
            throw new ArgumentException(
                "DPO needs a reference model; neither its prediction nor its errors were given.",
                nameof(reference)
            );
        using var scope = TensorScope.Enter();
        long[] rows =
        [
            .. Enumerable.Range(0, pairs).Where(k => active is null || (active[k] && active[pairs + k])).Select(static k => (long)k),
        ];
        var winners = Pick(errors, rows, 0, pairs);
        var losers = Pick(errors, rows, pairs, pairs);
        var difference = losers - winners;
        Tensor? referenceWinners = null,
            referenceLosers = null;
        if (options.NeedsReference)
        {
            referenceWinners = Pick(reference!.Detach(), rows, 0, pairs);
            referenceLosers = Pick(reference!.Detach(), rows, pairs, pairs);
            difference -= referenceLosers - referenceWinners;
        }

        var margin = beta * difference;
        var loss = Link(margin - (options.Gamma ?? 0)).Sum() / IDecodedObjective.AtLeast(divisor(rows.Length));
        using (Autograd.NoGrad())
        {
            var count = Ops.FullLike(loss, rows.Length);
            health.Ratio($"{name}/accuracy", margin.Gt(0).To(loss.DType).Sum() + (0.5 * margin.Eq(0).To(loss.DType).Sum()), count);
            health.Ratio($"{name}/margin", margin.Sum(), count);
            health.Ratio($"{name}/winner", winners.Sum(), count);
            health.Ratio($"{name}/loser", losers.Sum(), count);
            if (referenceWinners is not null)
            {
                health.Ratio($"{name}/reference_winner", referenceWinners.Sum(), count);
                health.Ratio($"{name}/reference_loser", referenceLosers!.Sum(), count);
            }

            health.Hold();
        }

        return scope.Keep(loss);
    }

    private static Tensor Pick(Tensor errors, long[] rows, int start, int pairs)
    {
        var part = errors.Narrow(0, start, pairs);
        return rows.Length == pairs ? part : part.IndexSelect(0, Tensor.From(rows).To(errors.Device));
    }

    private Tensor Link(Tensor z) =>
        options.Link switch
        {
            PreferenceLink.Ipo => (z - 0.5).Square(),
            PreferenceLink.Hinge => (1 - z).Relu(),
            _ => -z.LogSigmoid(),
        };
}
