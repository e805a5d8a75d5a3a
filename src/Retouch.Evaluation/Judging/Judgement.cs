namespace Retouch.Evaluation.Judging;

/// <summary>A distribution of numbers; quantiles are interpolated linearly between the numbers.</summary>
/// <param name="Lowest">The lowest.</param>
/// <param name="Quarter">A quarter is not above it.</param>
/// <param name="Median">Half is not above it.</param>
/// <param name="ThreeQuarters">Three quarters are not above it.</param>
/// <param name="Highest">The highest.</param>
/// <param name="Mean">The mean.</param>
public sealed record ScoreDistribution(double Lowest, double Quarter, double Median, double ThreeQuarters, double Highest, double Mean)
{
    /// <summary>That of some numbers, one or more.</summary>
    public static ScoreDistribution Of(IEnumerable<double> numbers)
    {
        double[] sorted = [.. numbers.Order()];
        double At(double share)
        {
            var place = share * (sorted.Length - 1);
            var below = (int)place;
            return below == sorted.Length - 1 ? sorted[below] : sorted[below] + ((place - below) * (sorted[below + 1] - sorted[below]));
        }

        return new(sorted[0], At(0.25), At(0.5), At(0.75), sorted[^1], sorted.Average());
    }
}

/// <summary>What an automatic judge decided.</summary>
/// <param name="Folder">The data set of pairs.</param>
/// <param name="Judge">Who judged.</param>
/// <param name="Candidates">Pictures that were scored.</param>
/// <param name="Prompts">Prompts (or classes) that they are of.</param>
/// <param name="Alone">Prompts with a single candidate, which is compared with nothing.</param>
/// <param name="Pairs">Winners with a loser.</param>
/// <param name="Ties">Pairs that were compared and are nearer than the margin.</param>
/// <param name="Scores">Of all candidates.</param>
/// <param name="Margins">By how much the winners are better.</param>
public sealed record Judgement(
    string Folder,
    JudgeProtocol Judge,
    int Candidates,
    int Prompts,
    int Alone,
    int Pairs,
    int Ties,
    ScoreDistribution Scores,
    ScoreDistribution Margins
);

/// <summary>A candidate with its score.</summary>
internal sealed record ScoredCandidate(Candidate Candidate, string Sha256, double Score);

/// <summary>A candidate that was preferred to another of the same prompt.</summary>
internal sealed record JudgedPair(ScoredCandidate Winner, ScoredCandidate Loser)
{
    public double Margin => Winner.Score - Loser.Score;
}
