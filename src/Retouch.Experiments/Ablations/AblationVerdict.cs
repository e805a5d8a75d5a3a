using Retouch.Evaluation.Statistics;

namespace Retouch.Experiments.Ablations;

/// <summary>What is said of the difference of two arms. One training of each says nothing of another, so it takes two seeds.</summary>
public static class AblationVerdict
{
    /// <summary>Both intervals leave 0 out, and the arm is better by what is worth naming.</summary>
    public const string Better = "better";

    /// <summary>The same, the arm being worse.</summary>
    public const string Worse = "worse";

    private const string Negligible = "negligible";
    private const string NotShown = "not shown";
    private const string OneSeed = "one seed";
    private const string Void = "void";

    /// <summary>Verdicts that name no difference: in words where all differences have them, and where some do.</summary>
    public static readonly IReadOnlyList<(string Verdict, string All, string Some)> Open =
    [
        (NotShown, "no difference is shown", "not shown"),
        (Negligible, "all differences are too small to name", "too small to name"),
        (OneSeed, "no verdict, since there is one seed of training", "without a verdict: one seed of training"),
        (Void, "no verdict, since there are too few pictures", "without a verdict: too few pictures"),
    ];

    /// <summary>The verdict over seeds.</summary>
    /// <param name="verdict">By the intervals.</param>
    /// <param name="seeds">Training seeds that both arms have.</param>
    public static string Of(Verdict verdict, int seeds) =>
        verdict switch
        {
            Verdict.Void => Void,
            Verdict.Undecided => NotShown,
            _ when seeds < 2 => OneSeed,
            Verdict.Negligible => Negligible,
            Verdict.Better => Better,
            _ => Worse,
        };
}
