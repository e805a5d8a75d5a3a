using System.Globalization;

namespace Retouch.Objectives.Preference;

/// <summary>
/// Divergence check of a preference run, step by step. A preference loss falls as long as losers get worse faster than winners, so it does
/// not measure whether the model is still usable. This check compares both smoothed errors with the reference model's, or with their own
/// early average.
/// </summary>
/// <param name="options">Thresholds.</param>
public sealed class PreferenceWatch(DivergenceOptions options)
{
    /// <summary>EMA weight of a step in the smoothed errors; a fifth of it is used for the running mean and variance of the loss.</summary>
    private const double Smoothing = 0.1;

    /// <summary>Minimum steps before the running mean and variance of the loss are used.</summary>
    private const int LeastSteps = 20;

    /// <summary>State to save for an exact resume.</summary>
    public PreferenceWatchState State { get; set; } = new();

    /// <summary>
    /// Whether winner and loser of some term are currently beyond the bound: such a state should not replace a good checkpoint.
    /// </summary>
    public bool IsPast => State.Terms.Values.Any(static t => t.Past > 0);

    /// <summary>Adds a step.</summary>
    /// <param name="figures">Health metrics of the step, by name; terms are identified by <c>NAME/winner</c> and <c>NAME/loser</c>.</param>
    public PreferenceVerdict Observe(IReadOnlyDictionary<string, double> figures)
    {
        ArgumentNullException.ThrowIfNull(figures);
        var added = new List<KeyValuePair<string, double>>();
        var terms = new SortedDictionary<string, PreferenceTermState>(State.Terms, StringComparer.Ordinal);
        string? stop = null;
        foreach (var (key, winner) in figures)
        {
            const string Suffix = "/winner";
            if (!key.StartsWith("preference_", StringComparison.Ordinal) || !key.EndsWith(Suffix, StringComparison.Ordinal))
                continue;
            var name = key[..^Suffix.Length];
            var term = Move(terms.GetValueOrDefault(name) ?? new(), figures, name, winner, figures[name + "/loser"]);
            added.Add(new($"{name}/winner_excess", term.WinnerExcess));
            added.Add(new($"{name}/loser_excess", term.LoserExcess));
            var past = options.Bound > 0 && term.WinnerExcess > options.Bound && term.LoserExcess > options.Bound;
            term = term with { Past = past ? term.Past + 1 : 0 };
            terms[name] = term;
            if (term.Past >= options.Steps)
                stop ??= Describe(name, term, figures.ContainsKey(name + "/reference_winner"));
        }

        var (spike, note) = Spike(figures);
        if (spike is { } z)
            added.Add(new("preference/spike", z));
        State = State with { Terms = terms };
        return new PreferenceVerdict(added, note, stop);
    }

    private PreferenceTermState Move(
        PreferenceTermState t,
        IReadOnlyDictionary<string, double> figures,
        string name,
        double winner,
        double loser
    )
    {
        var first = t.Steps == 0;
        double Smooth(double old, double now) => first ? now : old + (Smoothing * (now - old));
        var moved = t with { Steps = t.Steps + 1, Winner = Smooth(t.Winner, winner), Loser = Smooth(t.Loser, loser) };
        if (figures.TryGetValue(name + "/reference_winner", out var referenceWinner))
            return moved with
            {
                BaseWinner = Smooth(t.BaseWinner, referenceWinner),
                BaseLoser = Smooth(t.BaseLoser, figures[name + "/reference_loser"]),
            };
        return moved.Steps > options.Steps
            ? moved
            : moved with
            {
                BaseWinner = t.BaseWinner + ((winner - t.BaseWinner) / moved.Steps),
                BaseLoser = t.BaseLoser + ((loser - t.BaseLoser) / moved.Steps),
            };
    }

    private (double? Deviations, string? Note) Spike(IReadOnlyDictionary<string, double> figures)
    {
        if (!figures.TryGetValue("loss/total", out var loss))
            return (null, null);
        var (count, mean, variance) = (State.LossSteps, State.LossMean, State.LossVariance);
        double? deviations = count >= LeastSteps && variance > 0 ? (loss - mean) / Math.Sqrt(variance) : null;
        // Plain averages at first, exponential averages later (West 1979).
        var share = Math.Max(1.0 / (count + 1), Smoothing / 5);
        var step = share * (loss - mean);
        State = State with
        {
            LossSteps = count + 1,
            LossMean = mean + step,
            LossVariance = (1 - share) * (variance + (step * (loss - mean))),
        };
        return options.Spike > 0 && deviations > options.Spike
            ? (
                deviations,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Spike: the loss is {loss:G4}, {deviations:0.0} standard deviations above its running mean of {mean:G4}."
                )
            )
            : (deviations, null);
    }

    private string Describe(string name, PreferenceTermState t, bool reference) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"Winners and losers have both been worse for {t.Past} consecutive steps: {name} errors of {t.Winner:G4} (winner) and "
                + $"{t.Loser:G4} (loser) against {t.BaseWinner:G4} and {t.BaseLoser:G4} "
                + $"{(reference ? "of the reference model" : "early in the run")}, "
                + $"that is {100 * t.WinnerExcess:0} % and {100 * t.LoserExcess:0} % more, where {100 * options.Bound:0} % are allowed."
        );
}

/// <summary>State of a <see cref="PreferenceWatch"/>.</summary>
public sealed record PreferenceWatchState
{
    /// <summary>State of each term, by name.</summary>
    public SortedDictionary<string, PreferenceTermState> Terms { get; init; } = new(StringComparer.Ordinal);

    /// <summary>Number of observed losses.</summary>
    public long LossSteps { get; init; }

    /// <summary>Running mean of the loss.</summary>
    public double LossMean { get; init; }

    /// <summary>Running variance of the loss.</summary>
    public double LossVariance { get; init; }
}

/// <summary>State of one term; errors are smoothed.</summary>
public sealed record PreferenceTermState
{
    /// <summary>Number of observed steps.</summary>
    public long Steps { get; init; }

    /// <summary>Error of winners.</summary>
    public double Winner { get; init; }

    /// <summary>Error of losers.</summary>
    public double Loser { get; init; }

    /// <summary>Baseline error of winners.</summary>
    public double BaseWinner { get; init; }

    /// <summary>Baseline error of losers.</summary>
    public double BaseLoser { get; init; }

    /// <summary>Consecutive steps with both errors beyond the bound.</summary>
    public int Past { get; init; }

    internal double WinnerExcess => (Winner / BaseWinner) - 1;

    internal double LoserExcess => (Loser / BaseLoser) - 1;
}

/// <summary>Result of <see cref="PreferenceWatch"/> for one step.</summary>
/// <param name="Figures">Metrics to log.</param>
/// <param name="Note">User-facing note, or null.</param>
/// <param name="Stop">Reason to stop training, or null.</param>
public sealed record PreferenceVerdict(IReadOnlyList<KeyValuePair<string, double>> Figures, string? Note, string? Stop);
