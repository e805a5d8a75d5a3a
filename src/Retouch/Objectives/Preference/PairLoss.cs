using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Objectives.Preference;

/// <summary>From the errors of winners and losers to a loss: [PIX] eq. 4–7, the same whatever the errors were measured on.</summary>
/// <param name="name">The term's name, for figures.</param>
/// <param name="space">The space of the errors.</param>
/// <param name="options">Method, link and γ.</param>
/// <param name="beta">β with its scaling.</param>
internal sealed class PairLoss(string name, PreferenceSpace space, PreferenceOptions options, double beta)
{
    /// <summary>The pairs of a batch.</summary>
    /// <exception cref="UsageException">There are none.</exception>
    public static PairedSamples PairsOf(ObjectiveInputs inputs) =>
        inputs.Pairs ?? throw new UsageException("objective.preference needs pairs of a winner and a loser; name them with data.pairs.");

    /// <summary>The reference's errors where they were computed beforehand, [2 · pairs].</summary>
    public Tensor? Precomputed(PairedSamples pairs) => options.NeedsReference ? pairs.ReferenceErrors?.GetValueOrDefault(space) : null;

    /// <summary>The loss: a scalar in the graph of <paramref name="errors"/>.</summary>
    /// <param name="errors">[2 · pairs or more], winners first, then losers.</param>
    /// <param name="reference">The reference's, likewise; null for SimPO.</param>
    /// <param name="active">One entry a sample; a pair takes part when both do.</param>
    /// <param name="pairs">Pairs of the batch.</param>
    /// <param name="divisor">From the number of pairs that take part to what their sum is divided by.</param>
    /// <param name="health">Takes accuracy, margin and errors.</param>
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
                "DPO compares with a reference; neither its prediction nor its errors were given.",
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
