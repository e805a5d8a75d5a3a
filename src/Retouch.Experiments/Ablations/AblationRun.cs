using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Evaluation.Reports;
using Retouch.Experiments.Machine;
using Retouch.Experiments.Phases;

namespace Retouch.Experiments.Ablations;

/// <summary>Outcome of an ablation.</summary>
/// <param name="Report">Page; null if no arm is complete.</param>
/// <param name="Json">JSON of the report.</param>
/// <param name="Done">Completed runs of arms.</param>
/// <param name="Total">All runs of arms: arms times seeds.</param>
/// <param name="Ran">Runs completed by this process.</param>
/// <param name="Failed">Failed runs with reasons.</param>
/// <param name="Seconds">Wall-clock time of this process.</param>
public sealed record AblationOutcome(
    string? Report,
    string? Json,
    int Done,
    int Total,
    IReadOnlyList<string> Ran,
    IReadOnlyList<string> Failed,
    double Seconds
)
{
    /// <summary>Measurements.</summary>
    public AblationFigures? Figures { get; init; }

    /// <summary>Whether runs failed, all of them by divergence.</summary>
    public bool HasDiverged { get; init; }
}

/// <summary>Executes the remaining jobs of an ablation, together with other processes on the same folder.</summary>
public static class AblationRun
{
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(2);

    /// <summary>Executes the ablation.</summary>
    /// <param name="plan">Plan.</param>
    /// <param name="folder">Folder of the ablation.</param>
    /// <param name="arms">Maximum number of runs; null for all. 0 only writes the report.</param>
    /// <param name="staleAfter">Time without heartbeat after which another process counts as dead.</param>
    /// <param name="console">Progress, clock and cancellation.</param>
    public static AblationOutcome Run(AblationPlan plan, AblationFolder folder, int? arms, TimeSpan staleAfter, PhaseConsole console)
    {
        var start = console.Time.GetTimestamp();
        var load = ReportOrigin.LoadAverage();
        var jobs = AblationJobs.Of(plan, folder);
        List<string> ran = [];
        Dictionary<string, RetouchException> failed = [];
        var claims = new ClaimFolder(folder.Claims, console.Time, staleAfter);
        var waiting = "";
        while (arms is null || ran.Count < arms)
        {
            console.Cancellation.ThrowIfCancellationRequested();
            AblationJob[] left = [.. jobs.Where(job => !job.IsDone() && !Fails(job, failed))];
            if (left.Length == 0)
                break;
            var ready = left.Where(static job => job.Needs.All(static n => n.IsDone()));
            if (ready.Any(job => TryDo(job, claims, failed, ran, console)))
                continue;
            var others = string.Join(", ", left.Select(static job => job.Title));
            if (others != waiting)
                console.Say($"Waiting for other processes: {others}");
            waiting = others;
            console.Cancellation.WaitHandle.WaitOne(Poll);
        }

        var results = AblationFigures.Read(plan, folder);
        AblationJob[] all = [.. jobs.Where(static job => job.IsArm)];
        var outcome = new AblationOutcome(
            null,
            null,
            all.Count(static job => job.IsDone()),
            all.Length,
            ran,
            [.. failed.Select(static f => $"{f.Key}: {f.Value.Message}")],
            0
        )
        {
            HasDiverged = failed.Count > 0 && failed.Values.All(static e => e is DivergedException),
        };
        if (results.Rows.Any(static row => row.Arm is not null))
        {
            var document = AblationReport.Build(plan, folder, results, outcome, ReportOrigin.Machine(load));
            var files = ReportWriter.Write(document, folder.Path);
            outcome = outcome with { Report = files.Html, Json = files.Json, Figures = results };
        }

        var seconds = console.Time.GetElapsedTime(start).TotalSeconds;
        console.Heading(
            $"{outcome.Done} of {outcome.Total} runs are complete; this took {Figures.Duration(TimeSpan.FromSeconds(seconds))}"
        );
        return outcome with { Seconds = seconds };
    }

    private static bool Fails(AblationJob job, Dictionary<string, RetouchException> failed) =>
        failed.ContainsKey(job.Title) || job.Needs.Any(n => Fails(n, failed));

    private static bool TryDo(
        AblationJob job,
        ClaimFolder claims,
        Dictionary<string, RetouchException> failed,
        List<string> ran,
        PhaseConsole console
    )
    {
        using var claim = claims.TryTake(job.Id);
        if (claim is null)
            return false;
        // Another process may have completed it between the check and the claim.
        if (job.IsDone())
            return true;
        if (claim.TakenOver)
            console.Say($"{job.Title}: another process was interrupted; continuing its run.");
        using var either = CancellationTokenSource.CreateLinkedTokenSource(console.Cancellation, claim.Lost);
        try
        {
            job.Run(console with { Cancellation = either.Token });
            if (job.IsArm)
                ran.Add(job.Title);
        }
        catch (OperationCanceledException) when (claim.Lost.IsCancellationRequested && !console.Cancellation.IsCancellationRequested)
        {
            console.Say($"{job.Title}: this process was suspended for too long; another took over.");
        }
        catch (RetouchException e) when (e is not EnvironmentException)
        {
            failed[job.Title] = e;
            console.Say($"{job.Title} failed: {e.Message}");
        }

        return true;
    }
}
