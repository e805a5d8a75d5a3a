using Microsoft.AspNetCore.Builder;
using Retouch.Arena.Site;
using Retouch.Arena.Study;
using Retouch.Core.Errors;
using Retouch.Web;

namespace Retouch.Arena;

/// <summary>Personal link of a rater.</summary>
/// <param name="Name">Name of the rater.</param>
/// <param name="Link">Link for this rater only.</param>
public sealed record Invitation(string Name, string Link);

/// <summary>Web server for the human evaluation of pictures.</summary>
public sealed class ArenaServer : IAsyncDisposable
{
    // Scripts, styles and pictures from this server only; no inline code.
    private const string ContentPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        + "base-uri 'none'; frame-ancestors 'none'";

    private readonly LocalSite _site;
    private readonly ServedStudy _served;

    private ArenaServer(LocalSite site, ServedStudy served) => (_site, _served) = (site, served);

    /// <summary>Base URL without a trailing slash.</summary>
    public string Address => _site.Address;

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
        try
        {
            var site = new LocalSiteOptions(options.Address, options.Port, ContentPolicy)
            {
                HostNames = options.HostNames,
                HostAdvice = "The owner of the study can allow it with --host.",
            };
            return new(await LocalSite.StartAsync(site, app => AddRoutes(app, study), log, cancellation).ConfigureAwait(false), study);
        }
        catch
        {
            study.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _site.DisposeAsync().ConfigureAwait(false);
        _served.Dispose();
    }

    private static void AddRoutes(WebApplication app, ServedStudy study)
    {
        var sessions = new Sessions(study.Secrets, study.Options.Token);
        new RaterApi(study, sessions).AddTo(app);
        new OwnerApi(study, sessions).AddTo(app);
        new Pages(study, sessions, study.Secrets).AddTo(app);
    }
}
