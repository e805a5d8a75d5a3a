using Retouch.Evaluation.Statistics;

namespace Retouch.Experiments.Ablations;

/// <summary>Verdicts on differences of arms. They require at least two training seeds.</summary>
public static class AblationVerdict
{
    /// <summary>Both intervals exclude 0, and the arm is better by a relevant difference.</summary>
    public const string Better = "better";

    /// <summary>As <see cref="Better"/>, but worse.</summary>
    public const string Worse = "worse";

    private const string Negligible = "negligible";
    private const string NotShown = "not shown";
    private const string OneSeed = "one seed";
    private const string Void = "void";

    /// <summary>Verdicts without a difference, in words: if all comparisons have it, and if some do.</summary>
    public static readonly IReadOnlyList<(string Verdict, string All, string Some)> Open =
    [
        (NotShown, "no significant difference", "not shown"),
        (Negligible, "all differences are negligible", "negligible"),
        (OneSeed, "no verdict, because of a single training seed", "without a verdict: one training seed"),
        (Void, "no verdict, because of too few pictures", "without a verdict: too few pictures"),
    ];

    /// <summary>Verdict over seeds.</summary>
    /// <param name="verdict">Verdict of the intervals.</param>
    /// <param name="seeds">Number of common training seeds.</param>
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
