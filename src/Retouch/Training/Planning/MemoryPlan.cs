using System.Globalization;
using Retouch.Core.Formatting;

namespace Retouch.Training.Planning;

/// <summary>Predicted cost of a run with some settings.</summary>
/// <param name="Settings">Options that differ from those given, as <c>path=value</c>; empty for none.</param>
/// <param name="PeakBytes">Predicted peak: main memory of the process, or tensors on the GPU.</param>
/// <param name="SecondsPerStep">Predicted seconds per optimiser step; null if the settings need more than the limit.</param>
/// <param name="Fits">Whether the peak is within the limit.</param>
/// <param name="KeepsLoss">Whether the loss has the same expectation and noise.</param>
/// <param name="IsChosen">Whether the run uses these settings.</param>
public sealed record MemoryPlanRow(
    IReadOnlyList<string> Settings,
    long PeakBytes,
    double? SecondsPerStep,
    bool Fits,
    bool KeepsLoss,
    bool IsChosen
);

/// <summary>Settings for a limit of memory.</summary>
/// <param name="LimitBytes">The limit.</param>
/// <param name="Memory">What is limited: main memory, or that of a GPU.</param>
/// <param name="Rows">Settings: as given, then alternatives, each with its largest micro-batch that fits.</param>
public sealed record MemoryPlan(long LimitBytes, string Memory, IReadOnlyList<MemoryPlanRow> Rows)
{
    /// <summary>The plan in lines of text.</summary>
    public IReadOnlyList<string> Lines()
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture);
        text.WriteLine($"Settings within {Figures.Bytes(LimitBytes)} of {Memory}, predicted from short trials:");
        var table = new ColumnTable(text, ("", -2), ("peak", 10), ("a step", 14), ("  settings", -10));
        foreach (var row in Rows)
            table.Row(
                row.IsChosen ? "→" : "",
                Figures.Bytes(row.PeakBytes),
                row.SecondsPerStep is { } seconds ? Figures.Duration(TimeSpan.FromSeconds(seconds)) : "does not fit",
                "  " + Name(row)
            );
        return [.. text.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static l => l.TrimEnd())];
    }

    private static string Name(MemoryPlanRow row) =>
        (row.Settings.Count == 0 ? "as given" : string.Join(' ', row.Settings)) + (row.KeepsLoss ? "" : " (noisier gradients)");
}
