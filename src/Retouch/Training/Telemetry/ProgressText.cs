using Retouch.Core.Formatting;

namespace Retouch.Training.Telemetry;

/// <summary>Text of all progress displays.</summary>
public static class ProgressText
{
    /// <summary><c>step 120/1,000 (12 %)</c></summary>
    public static string Position(TrainingProgress progress) =>
        $"{progress.Unit} {Figures.Count(progress.Step)}/{Figures.Count(progress.TotalSteps)} ({Figures.Percent(Fraction(progress))})";

    /// <summary>Completed fraction, in [0, 1].</summary>
    public static double Fraction(TrainingProgress progress)
    {
        ArgumentNullException.ThrowIfNull(progress);
        return progress.TotalSteps <= 0 ? 0 : Math.Clamp((double)progress.Step / progress.TotalSteps, 0, 1);
    }

    /// <summary><c>loss 0.4123 = latent 0.3301 (80 %) + lpl 0.08220 (20 %)</c>; empty without a loss.</summary>
    public static string Losses(TrainingProgress progress)
    {
        ArgumentNullException.ThrowIfNull(progress);
        if (progress.Loss is not { } loss)
            return "";
        var terms = progress.Terms.Select(term => $"{term.Name} {Figures.Significant(term.Weighted)} ({Figures.Percent(term.Share)})");
        var total = "loss " + Figures.Significant(loss);
        return progress.Terms.Count == 0 ? total : total + " = " + string.Join(" + ", terms);
    }

    /// <summary><c>accuracy 0.7500, margin 0.1200</c>; empty without metrics.</summary>
    public static string Highlights(TrainingProgress progress)
    {
        ArgumentNullException.ThrowIfNull(progress);
        return string.Join(", ", progress.Figures.Select(static f => $"{f.Key} {Figures.Significant(f.Value)}"));
    }

    /// <summary>Available parts of <c>0.42 s/step</c>, <c>6 min 10 s left</c>, <c>2.1 GiB</c>.</summary>
    public static IReadOnlyList<string> Pace(TrainingProgress progress, StepClock clock)
    {
        ArgumentNullException.ThrowIfNull(progress);
        ArgumentNullException.ThrowIfNull(clock);
        List<string> parts = [];
        if (clock.SecondsPerStep is { } seconds)
            parts.Add(Figures.Duration(TimeSpan.FromSeconds(seconds)) + "/" + progress.Unit);
        if (progress.Step < progress.TotalSteps && clock.Remaining(progress.TotalSteps) is { } left)
            parts.Add(Figures.Duration(left) + " left");
        if (progress.MemoryBytes is { } bytes)
            parts.Add(Figures.Bytes(bytes));
        return parts;
    }
}
