using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>One term of the total loss.</summary>
/// <param name="Name"><c>latent</c>, <c>lpl</c>, <c>pixel</c>.</param>
/// <param name="Raw">Unweighted value.</param>
/// <param name="Weighted">Contribution to the total loss.</param>
/// <param name="Share">Fraction of the total loss, in [0, 1] for non-negative terms; 0 if the total is 0.</param>
public sealed record LossTerm(string Name, double Raw, double Weighted, double Share);

/// <summary>Total loss of a step, its terms and health metrics.</summary>
/// <param name="Total">Scalar to differentiate.</param>
/// <param name="Terms">Terms, in the order of the objective set.</param>
/// <param name="Figures">Health metrics by name (<c>lpl/masked/tap0</c>), as sums.</param>
public sealed record LossTerms(Tensor Total, IReadOnlyList<LossTerm> Terms, IReadOnlyDictionary<string, HealthFigure> Figures)
{
    /// <summary>Values of the health metrics that have observations.</summary>
    public IReadOnlyDictionary<string, double> Health { get; } =
        Figures.Where(static f => f.Value.IsKnown).ToDictionary(static f => f.Key, static f => f.Value.Value, StringComparer.Ordinal);
}
