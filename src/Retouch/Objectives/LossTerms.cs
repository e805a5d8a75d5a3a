using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>One term of the total loss.</summary>
/// <param name="Name"><c>latent</c>, <c>lpl</c>, <c>pixel</c>.</param>
/// <param name="Raw">The term before its weight.</param>
/// <param name="Weighted">What it adds to the total.</param>
/// <param name="Share">Its part of the total, in [0, 1] for terms that are not negative; 0 where the total is 0.</param>
public sealed record LossTerm(string Name, double Raw, double Weighted, double Share);

/// <summary>What a step minimises, and what is worth logging about it.</summary>
/// <param name="Total">The scalar to differentiate.</param>
/// <param name="Terms">Its terms, in the order of the set.</param>
/// <param name="Figures">Numbers that show whether training is healthy, by name (<c>lpl/masked/tap0</c>), as sums.</param>
public sealed record LossTerms(Tensor Total, IReadOnlyList<LossTerm> Terms, IReadOnlyDictionary<string, HealthFigure> Figures)
{
    /// <summary>The figures of which something was seen, as numbers.</summary>
    public IReadOnlyDictionary<string, double> Health { get; } =
        Figures.Where(static f => f.Value.IsKnown).ToDictionary(static f => f.Key, static f => f.Value.Value, StringComparer.Ordinal);
}
