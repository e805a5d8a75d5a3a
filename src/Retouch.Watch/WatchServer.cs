using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Retouch.Core.Errors;
using Retouch.Evaluation.Reports;
using Retouch.Experiments.Watching;
using Retouch.Web;

namespace Retouch.Watch;

/// <summary>Options of a <see cref="WatchServer"/>.</summary>
public sealed record WatchOptions
{
    /// <summary>Folders of the runs, at least one.</summary>
    public required IReadOnlyList<string> Runs { get; init; }

    /// <summary>Address to listen on; others than loopback show the runs to everyone who can reach the machine.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>Port, from 0 to 65535; 0 picks a free one.</summary>
    [Bounds(AtLeast = 0, AtMost = 65535)]
    public int Port { get; init; }
}

/// <summary>Web server of a page that follows runs while they train. It reads the runs' folders only, and writes nothing.</summary>
public sealed class WatchServer : IAsyncDisposable
{
    private readonly IReadOnlyList<WatchedRun> _runs;
    private readonly Lock _gate = new();
    private LocalSite? _site;

    private WatchServer(IReadOnlyList<WatchedRun> runs) => _runs = runs;

    /// <summary>Base URL without a trailing slash.</summary>
    public string Address => _site!.Address;

    /// <summary>Names of the runs.</summary>
    public IReadOnlyList<string> Runs => [.. _runs.Select(static r => r.Name)];

    /// <summary>Opens the runs and starts the server.</summary>
    /// <param name="options">Options.</param>
    /// <param name="log">Receives one line per server error.</param>
    /// <param name="cancellation">Cancels the start.</param>
    /// <exception cref="UsageException">An option is out of range.</exception>
    /// <exception cref="InputException">A folder does not exist or is not a run.</exception>
    /// <exception cref="EnvironmentException">The port is in use.</exception>
    public static async Task<WatchServer> StartAsync(WatchOptions options, Action<string> log, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        var check = Requirements.OfFlags();
        check.Members(options);
        check.Throw();
        var server = new WatchServer(WatchedRun.Open(options.Runs));
        var site = new LocalSiteOptions(options.Address, options.Port, HtmlReport.Policy(live: true) + "; frame-ancestors 'none'");
        server._site = await LocalSite.StartAsync(site, server.AddRoutes, log, cancellation).ConfigureAwait(false);
        return server;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _site!.DisposeAsync();

    private void AddRoutes(WebApplication app)
    {
        app.MapGet("/", Page);
        app.MapGet("/version", Version);
        app.MapGet("/runs/{run}/samples/{name}", Sample);
        app.MapFallback(static context => Replies.Refuse(context, StatusCodes.Status404NotFound, "Not found."));
    }

    private Task Page(HttpContext context)
    {
        string html;
        lock (_gate)
        {
            foreach (var run in _runs)
                run.Refresh();
            html = HtmlReport.Render(RunReport.Of(_runs, static (run, name) => $"runs/{run}/samples/{name}"), live: true);
        }

        context.Response.ContentType = "text/html; charset=utf-8";
        return context.Response.WriteAsync(html, Encoding.UTF8, context.RequestAborted);
    }

    /// <summary>Lengths and times of the files that the page shows.</summary>
    private Task Version(HttpContext context)
    {
        context.Response.ContentType = "text/plain; charset=utf-8";
        var files = _runs.SelectMany(static r =>
            (FileSystemInfo[])
                [new FileInfo(r.Folder.MetricsFile), new FileInfo(r.Folder.LogFile), new DirectoryInfo(r.Folder.SamplesFolder)]
        );
        var version = string.Join(
            ' ',
            files.Select(static f => f.Exists ? $"{(f is FileInfo file ? file.Length : 0)}-{f.LastWriteTimeUtc.Ticks}" : "none")
        );
        return context.Response.WriteAsync(version, context.RequestAborted);
    }

    /// <summary>A sample grid; only listed files of a run are served, by their names.</summary>
    private async Task Sample(HttpContext context)
    {
        var name = (string)context.Request.RouteValues["name"]!;
        string? path = null;
        if (int.TryParse((string)context.Request.RouteValues["run"]!, out var index) && index >= 0 && index < _runs.Count)
        {
            lock (_gate)
                path = _runs[index].Samples.FirstOrDefault(s => Path.GetFileName(s.Path) == name).Path;
        }

        if (path is null || new FileInfo(path) is not { Exists: true, LinkTarget: null })
        {
            await Replies.Refuse(context, StatusCodes.Status404NotFound, "Not found.").ConfigureAwait(false);
            return;
        }

        context.Response.ContentType = "image/png";
        // A grid is written once: the browser need not request it again.
        context.Response.Headers.CacheControl = "private, max-age=3600";
        var bytes = await File.ReadAllBytesAsync(path, context.RequestAborted).ConfigureAwait(false);
        await context.Response.Body.WriteAsync(bytes, context.RequestAborted).ConfigureAwait(false);
    }
}
