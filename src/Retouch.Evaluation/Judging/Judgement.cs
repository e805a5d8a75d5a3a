namespace Retouch.Evaluation.Judging;

/// <summary>Summary of a distribution; quantiles are interpolated linearly.</summary>
/// <param name="Lowest">Minimum.</param>
/// <param name="Quarter">First quartile.</param>
/// <param name="Median">Median.</param>
/// <param name="ThreeQuarters">Third quartile.</param>
/// <param name="Highest">Maximum.</param>
/// <param name="Mean">Mean.</param>
public sealed record ScoreDistribution(double Lowest, double Quarter, double Median, double ThreeQuarters, double Highest, double Mean)
{
    /// <summary>Summary of one or more values.</summary>
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

/// <summary>Result of an automatic judge.</summary>
/// <param name="Folder">Data set of pairs.</param>
/// <param name="Judge">Settings of the judge.</param>
/// <param name="Candidates">Number of scored pictures.</param>
/// <param name="Prompts">Number of prompts or classes.</param>
/// <param name="Alone">Number of prompts with a single candidate, which are not compared.</param>
/// <param name="Pairs">Number of pairs.</param>
/// <param name="Ties">Number of compared pairs whose difference is below the margin.</param>
/// <param name="Scores">Scores of all candidates.</param>
/// <param name="Margins">Score differences of the pairs.</param>
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

/// <summary>Candidate with its score.</summary>
internal sealed record ScoredCandidate(Candidate Candidate, string Sha256, double Score);

/// <summary>Candidate preferred to another one of the same prompt.</summary>
internal sealed record JudgedPair(ScoredCandidate Winner, ScoredCandidate Loser)
{
    public double Margin => Winner.Score - Loser.Score;
}
