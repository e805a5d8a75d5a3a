using Retouch.Arena.Statistics;

namespace Retouch.Arena.Results;

/// <summary>Results of a study.</summary>
/// <param name="Title">Title of the study.</param>
/// <param name="RatingsNeeded">Minimum ratings per comparison.</param>
/// <param name="Votes">Judgements that count: without attention checks and excluded raters.</param>
/// <param name="Questions">Results per answered question.</param>
/// <param name="Raters">All raters.</param>
/// <param name="Items">Comparisons with at least one rating.</param>
public sealed record StudyResults(
    string? Title,
    int RatingsNeeded,
    int Votes,
    IReadOnlyList<QuestionResult> Questions,
    IReadOnlyList<RaterResult> Raters,
    IReadOnlyList<ItemResult> Items
);

/// <summary>Results of one question.</summary>
/// <param name="Question">flaws, appeal or alignment.</param>
/// <param name="Votes">Number of judgements.</param>
/// <param name="Agreement">Krippendorff's alpha; null if no item has two ratings.</param>
/// <param name="Pairs">Pairwise comparisons of models.</param>
/// <param name="Ranking">Bradley–Terry strengths from all judgements, strongest first; empty if the comparisons do not connect all models,
/// and for alignment.</param>
/// <param name="Alignment">For alignment: share of pictures that match their prompts, per model.</param>
/// <param name="Flaws">For flaws: flaw marks per model.</param>
public sealed record QuestionResult(
    string Question,
    int Votes,
    double? Agreement,
    IReadOnlyList<PairResult> Pairs,
    IReadOnlyList<RankedModel> Ranking,
    IReadOnlyList<AlignmentResult> Alignment,
    IReadOnlyList<FlawResult> Flaws
);

/// <summary>
/// One model against another. The majority of an item's ratings decides the item; without a majority it is a tie.
/// </summary>
/// <param name="Model">The model whose wins are counted.</param>
/// <param name="Against">The other one.</param>
/// <param name="Wins">Items that the model won.</param>
/// <param name="Ties">Tied items.</param>
/// <param name="Losses">Items that the other one won.</param>
/// <param name="Short">Items with fewer ratings than needed; they are not counted.</param>
/// <param name="WinShare">Wins among the items counted, with Wilson's 95 % interval.</param>
/// <param name="TieShare">Ties, likewise.</param>
/// <param name="LossShare">Losses, likewise.</param>
/// <param name="Improvement">Share of wins minus share of losses, with a 95 % interval.</param>
/// <param name="SignTest">Two-sided p-value of the exact sign test, without ties.</param>
public sealed record PairResult(
    string Model,
    string Against,
    int Wins,
    int Ties,
    int Losses,
    int Short,
    Share WinShare,
    Share TieShare,
    Share LossShare,
    Share Improvement,
    double SignTest
)
{
    internal static PairResult Of(string model, string against, int wins, int ties, int losses, int tooFew)
    {
        var n = wins + ties + losses;
        return new(
            model,
            against,
            wins,
            ties,
            losses,
            tooFew,
            Share.Wilson(wins, n),
            Share.Wilson(ties, n),
            Share.Wilson(losses, n),
            Share.Improvement(wins, ties, losses),
            Statistics.SignTest.TwoSided(wins, losses)
        );
    }
}

/// <summary>Prompt alignment of a model, by majority.</summary>
/// <param name="Model">The model.</param>
/// <param name="Aligned">Pictures that match their prompts.</param>
/// <param name="Counted">Pictures with enough ratings.</param>
/// <param name="Short">Pictures with fewer; they are not counted.</param>
/// <param name="AlignedShare">The share, with Wilson's 95 % interval.</param>
public sealed record AlignmentResult(string Model, int Aligned, int Counted, int Short, Share AlignedShare);

/// <summary>Flaw marks on a model's pictures, one per rating and picture.</summary>
/// <param name="Model">The model.</param>
/// <param name="Marked">Ratings with a mark.</param>
/// <param name="None">Marked as without flaws.</param>
/// <param name="Minor">Marked with minor flaws.</param>
/// <param name="Major">Marked with major flaws.</param>
public sealed record FlawResult(string Model, int Marked, int None, int Minor, int Major);

/// <summary>Rater of a study.</summary>
/// <param name="Id">Identifier.</param>
/// <param name="Name">Name.</param>
/// <param name="Excluded">Whether the owner excluded the rater.</param>
/// <param name="Votes">Number of judgements, without attention checks.</param>
/// <param name="ChecksPassed">Number of passed attention checks.</param>
/// <param name="ChecksFailed">Descriptions of the failed attention checks.</param>
/// <param name="MedianSeconds">Median time of a judgement in seconds; null if unknown.</param>
public sealed record RaterResult(
    long Id,
    string Name,
    bool Excluded,
    int Votes,
    int ChecksPassed,
    IReadOnlyList<string> ChecksFailed,
    double? MedianSeconds
);

/// <summary>Ratings of a comparison or of a single picture.</summary>
/// <param name="Question">Question.</param>
/// <param name="Item">Key of the item.</param>
/// <param name="Prompt">Prompt of the item.</param>
/// <param name="First">First model.</param>
/// <param name="Second">Second model; null for a single picture.</param>
/// <param name="ForFirst">Ratings for the first model; for a single picture, "yes".</param>
/// <param name="Ties">Ratings for neither.</param>
/// <param name="ForSecond">Ratings for the second model; for a single picture, "no".</param>
/// <param name="Verdict">first, second, tie, or short for too few ratings.</param>
public sealed record ItemResult(
    string Question,
    string Item,
    string? Prompt,
    string First,
    string? Second,
    int ForFirst,
    int Ties,
    int ForSecond,
    string Verdict
)
{
    /// <summary>Majority verdict: more than half of the ratings.</summary>
    internal static string Decide(int forFirst, int ties, int forSecond, int needed)
    {
        var n = forFirst + ties + forSecond;
        if (n < needed || n == 0)
            return "short";
        return 2 * forFirst > n ? "first"
            : 2 * forSecond > n ? "second"
            : "tie";
    }
}
