using System.CommandLine;
using System.Reflection;
using Retouch.Cli.Diagnosis;
using Retouch.Experiments.Machine;

namespace Retouch.Cli.Commands;

/// <summary>
/// <c>retouch doctor</c>: checks the machine and proposes remedies. Exit code 4 if a requirement is missing.
/// </summary>
internal static class DoctorCommand
{
    /// <summary>Name of the verb.</summary>
    public const string Name = "doctor";

    private const int MissingSomething = 4;

    /// <summary>Creates the verb.</summary>
    public static Command Create()
    {
        var command = new Command(Name, "Check this machine and propose remedies.");
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellation)
    {
        var report = await ExamineAsync(cancellation).ConfigureAwait(false);
        Output.For(parsed).Write(report, writer => WriteText(report, writer));
        return report.Usable ? 0 : MissingSomething;
    }

    private static async Task<DoctorReport> ExamineAsync(CancellationToken cancellation)
    {
        var (torch, torchFailure) = await LibraryProbe.RunAsync<TorchFacts>("torch", cancellation).ConfigureAwait(false);
        var (pictures, picturesFailure) = await LibraryProbe.RunAsync<PictureFacts>("pictures", cancellation).ConfigureAwait(false);
        List<Check> checks =
        [
            .. MachineChecks.All(),
            LibraryChecks.Folder(),
            GpuChecks.Driver(),
            .. LibraryChecks.Torch(torch, torchFailure),
            LibraryChecks.Pictures(pictures, picturesFailure),
        ];
        var version = typeof(DoctorCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
        return new(version, checks.TrueForAll(check => check.State != CheckState.Missing), checks, torch, pictures);
    }

    private static void WriteText(DoctorReport report, TextWriter writer)
    {
        writer.WriteLine($"Retouch {report.Version}");
        foreach (var check in report.Checks)
        {
            var state = check.State switch
            {
                CheckState.Ok => "ok",
                CheckState.Slow => "slow",
                _ => "missing",
            };
            writer.WriteLine($"{state, -8}{check.Name, -14}{check.Detail}");
            if (check.Remedy is not null)
                writer.WriteLine($"{"", -22}-> {check.Remedy}");
        }

        writer.WriteLine(
            report.Usable
                ? "Retouch can run here."
                : $"Retouch cannot run here: "
                    + $"{string.Join(", ", report.Checks.Where(check => check.State == CheckState.Missing).Select(check => check.Name))} "
                    + $"missing."
        );
    }
}
