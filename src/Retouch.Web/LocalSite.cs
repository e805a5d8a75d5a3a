using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Web;

/// <summary>Options of a <see cref="LocalSite"/>.</summary>
/// <param name="Address">Address to listen on.</param>
/// <param name="Port">Port; 0 picks a free one.</param>
/// <param name="ContentPolicy">Content security policy of all replies.</param>
public sealed record LocalSiteOptions(IPAddress Address, int Port, string ContentPolicy)
{
    /// <summary>Additional host names of the server.</summary>
    public IReadOnlyList<string> HostNames { get; init; } = [];

    /// <summary>Advice after the error about an unknown host name.</summary>
    public string HostAdvice { get; init; } = "";
}

/// <summary>A web server for few users, on this machine: guarded, without settings files or environment variables.</summary>
public sealed class LocalSite : IAsyncDisposable
{
    private const int LargestBody = 16 << 10;
    private readonly WebApplication _host;

    private LocalSite(WebApplication host, string address) => (_host, Address) = (host, address);

    /// <summary>Base URL without a trailing slash.</summary>
    public string Address { get; }

    /// <summary>Starts the server.</summary>
    /// <param name="options">Options.</param>
    /// <param name="routes">Adds the routes.</param>
    /// <param name="log">Receives one line per server error.</param>
    /// <param name="cancellation">Cancels the start.</param>
    /// <exception cref="EnvironmentException">The port is in use.</exception>
    public static async Task<LocalSite> StartAsync(
        LocalSiteOptions options,
        Action<WebApplication> routes,
        Action<string> log,
        CancellationToken cancellation
    )
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(routes);
        // Empty builder: no settings file or environment variable may change the address.
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Configure(kestrel, options));
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton<IHostLifetime, CallersLifetime>();
        var app = builder.Build();
        try
        {
            new Guards(options, log).AddTo(app);
            app.UseRouting();
            routes(app);
            await app.StartAsync(cancellation).ConfigureAwait(false);
            var port = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()).Port;
            return new(app, $"http://{Shown(options.Address)}:{port}");
        }
        catch (Exception e)
        {
            await app.DisposeAsync().ConfigureAwait(false);
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
    }

    private static string Shown(IPAddress address) =>
        address switch
        {
            _ when address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) => Dns.GetHostName(),
            { AddressFamily: System.Net.Sockets.AddressFamily.InterNetworkV6 } => $"[{address}]",
            _ => address.ToString(),
        };

    private static void Configure(KestrelServerOptions kestrel, LocalSiteOptions options)
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
