using Retouch.Evaluation.Reports;
using Retouch.Torch;

namespace Retouch.Experiments.Machine;

/// <summary>Origin of a report: the command, and the machine that it ran on.</summary>
public static class ReportOrigin
{
    /// <summary>The load average of the machine over 1, 5 and 15 minutes, as text; to be read before the work begins.</summary>
    public static string LoadAverage() =>
        File.Exists("/proc/loadavg") ? string.Join(' ', File.ReadAllText("/proc/loadavg").Split(' ')[..3]) : "unknown";

    /// <summary>Processor, libraries, load.</summary>
    /// <param name="load">The load average before the work.</param>
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

    /// <summary>The command for reproduction, and the machine.</summary>
    /// <param name="command">The whole command, as a shell reads it.</param>
    /// <param name="load">The load average before the work.</param>
    public static IReadOnlyList<ReportSection> Of(string command, string load) =>
        [new ReportSection("How to do it again", new CodeBlock("Command", command)), Machine(load)];
}
