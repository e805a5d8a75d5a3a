using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Retouch.Arena.Site;
using Retouch.Arena.Study;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Arena;

/// <summary>Personal link of a rater.</summary>
/// <param name="Name">Name of the rater.</param>
/// <param name="Link">Link for this rater only.</param>
public sealed record Invitation(string Name, string Link);

/// <summary>Web server for the human evaluation of pictures.</summary>
public sealed class ArenaServer : IAsyncDisposable
{
    private const int LargestBody = 16 << 10;

    private readonly WebApplication _host;
    private readonly ServedStudy _served;

    private ArenaServer(WebApplication host, ServedStudy served, string address) => (_host, _served, Address) = (host, served, address);

    /// <summary>Base URL without a trailing slash.</summary>
    public string Address { get; }

    /// <summary>Names of the compared models.</summary>
    public IReadOnlyList<string> Models => _served.Material.Models;

    /// <summary>Number of comparisons and single pictures to judge.</summary>
    public int Tasks => _served.Plan.Tasks.Count;

    /// <summary>Whether pictures were matched by prompt and seed rather than by name.</summary>
    public bool MatchedBySeed => _served.Material.MatchedBySeed;

    /// <summary>Path of the file of votes.</summary>
    public string VotesFile => _served.Options.VotesFile;

    /// <summary>Link for raters, with the access token if one is set; null in a study by invitation.</summary>
    public string? RaterLink =>
        _served.Options switch
        {
            { Raters.Count: > 0 } => null,
            { Token: { } token } => $"{Address}/join?token={Uri.EscapeDataString(token)}",
            _ => Address + "/",
        };

    /// <summary>Link to the results page, which shows the models' names.</summary>
    public string OwnerLink => $"{Address}/results?token={_served.Secrets.OwnerToken}";

    /// <summary>Personal links of the raters named in the options.</summary>
    public IReadOnlyList<Invitation> Invitations =>
        [
            .. _served
                .File.Raters.All()
                .Where(r => _served.Options.Raters.Contains(r.Name, StringComparer.OrdinalIgnoreCase))
                .Select(r => new Invitation(r.Name, Address + _served.LinkOf(r))),
        ];

    /// <summary>Reads the pictures, opens the votes and starts the server.</summary>
    /// <param name="options">Options of the study and of the server.</param>
    /// <param name="time">Clock for the timestamps of votes.</param>
    /// <param name="log">Receives one line per server error.</param>
    /// <param name="cancellation">Cancels reading the pictures.</param>
    /// <exception cref="UsageException">An option is out of range, or a non-loopback address has no token.</exception>
    /// <exception cref="InputException">The study has no tasks, or a picture has changed since it was judged.</exception>
    /// <exception cref="EnvironmentException">The port is in use, or another server has the study.</exception>
    public static async Task<ArenaServer> StartAsync(
        ArenaOptions options,
        TimeProvider time,
        Action<string> log,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(options);
        var study = ServedStudy.Open(options, time, cancellation);
        WebApplication? app = null;
        try
        {
            app = Build(study, log);
            await app.StartAsync(cancellation).ConfigureAwait(false);
            var port = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()).Port;
            return new(app, study, $"http://{Shown(options.Address)}:{port}");
        }
        catch (Exception e)
        {
            if (app is not null)
                await app.DisposeAsync().ConfigureAwait(false);
            study.Dispose();
            if (e is IOException or System.Net.Sockets.SocketException)
                throw new EnvironmentException(
                    $"Cannot listen on {options.Address} port {options.Port}: {Reasons.Of(e)}. Choose another with "
                        + $"--port; 0 picks a free one.",
                    e
                );
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync().ConfigureAwait(false);
        await _host.DisposeAsync().ConfigureAwait(false);
        _served.Dispose();
    }

    private static string Shown(IPAddress address) =>
        address switch
        {
            _ when address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) => Dns.GetHostName(),
            { AddressFamily: System.Net.Sockets.AddressFamily.InterNetworkV6 } => $"[{address}]",
            _ => address.ToString(),
        };

    private static WebApplication Build(ServedStudy study, Action<string> log)
    {
        // Empty builder: no settings file or environment variable may change the address.
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Configure(kestrel, study.Options));
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton<IHostLifetime, CallersLifetime>();
        var app = builder.Build();
        var sessions = new Sessions(study.Secrets, study.Options.Token);
        new Guards(new(study.Options.Address, study.Options.HostNames), log).AddTo(app);
        app.UseRouting();
        new RaterApi(study, sessions).AddTo(app);
        new OwnerApi(study, sessions).AddTo(app);
        new Pages(study, sessions, study.Secrets).AddTo(app);
        return app;
    }

    private static void Configure(KestrelServerOptions kestrel, ArenaOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = LargestBody;
        kestrel.Limits.MaxRequestLineSize = 4 << 10;
        kestrel.Limits.MaxRequestHeadersTotalSize = 16 << 10;
        kestrel.Limits.MaxConcurrentConnections = 1024;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
        // Slower clients would hold connections.
        kestrel.Limits.MinRequestBodyDataRate = new(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));
        kestrel.Listen(options.Address, options.Port);
    }

    /// <summary>The caller handles signals; the server stops when it is disposed.</summary>
    private sealed class CallersLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
