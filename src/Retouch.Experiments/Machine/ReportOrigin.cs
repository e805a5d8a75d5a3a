using Retouch.Evaluation.Reports;
using Retouch.Torch;

namespace Retouch.Experiments.Machine;

/// <summary>Origin of a report: command and machine.</summary>
public static class ReportOrigin
{
    /// <summary>Load average of the machine over 1, 5 and 15 minutes, as text; to be read before the work starts.</summary>
    public static string LoadAverage() =>
        File.Exists("/proc/loadavg") ? string.Join(' ', File.ReadAllText("/proc/loadavg").Split(' ')[..3]) : "unknown";

    /// <summary>Processor, libraries, load.</summary>
    /// <param name="load">Load average before the work.</param>
    public static ReportSection Machine(string load) =>
        new(
            "Machine",
            new KeyValues(
                null,
                [
                    .. MachineChecks
                        .All()
                        .Where(static check => check.Name is "Processor" or "Memory" or "System")
                        .Select(static check => KeyValuePair.Create(check.Name, check.Detail)),
                    KeyValuePair.Create(".NET", Environment.Version.ToString()),
                    KeyValuePair.Create("libtorch", $"{TorchRuntime.Version}, {TorchRuntime.Threads} threads"),
                    KeyValuePair.Create("Load average at the start (1, 5, 15 min)", load),
                ]
            )
        );

    /// <summary>Command for reproduction, and machine.</summary>
    /// <param name="command">Complete command, quoted for a shell.</param>
    /// <param name="load">Load average before the work.</param>
    public static IReadOnlyList<ReportSection> Of(string command, string load) =>
        [new ReportSection("Reproduction", new CodeBlock("Command", command)), Machine(load)];
}
