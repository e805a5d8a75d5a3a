using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Retouch.Web;

/// <summary>Checks and headers of every request and reply.</summary>
internal sealed class Guards(LocalSiteOptions options, Action<string> log)
{
    private readonly HostNames _hosts = new(options.Address, options.HostNames);

    /// <summary>Adds the guards before all later middleware.</summary>
    public void AddTo(IApplicationBuilder app) => app.Use(Run);

    private async Task Run(HttpContext context, RequestDelegate next)
    {
        AddHeaders(context.Response.Headers, options.ContentPolicy);
        if (!_hosts.Allow(context.Request.Host))
        {
            await Replies
                .Refuse(context, StatusCodes.Status400BadRequest, $"Unknown host name. {options.HostAdvice}".TrimEnd())
                .ConfigureAwait(false);
            return;
        }

        if (!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method) && !ComesFromHere(context.Request))
        {
            await Replies.Refuse(context, StatusCodes.Status403Forbidden, "This request comes from another site.").ConfigureAwait(false);
            return;
        }

        try
        {
            await next(context).ConfigureAwait(false);
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await Replies
                .Refuse(
                    context,
                    e.StatusCode,
                    e.StatusCode == StatusCodes.Status413PayloadTooLarge ? "The request is too large." : "The request cannot be parsed."
                )
                .ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client disconnected.
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            log($"{context.Request.Method} {context.Request.Path}: {e.Message}");
            await Replies
                .Refuse(context, StatusCodes.Status500InternalServerError, "Server error; nothing was changed.")
                .ConfigureAwait(false);
        }
    }

    private static void AddHeaders(IHeaderDictionary headers, string policy)
    {
        headers.ContentSecurityPolicy = policy;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()";
        headers.CacheControl = "no-store";
    }

    /// <summary>Origin check by the browser's headers; clients without them still need cookie and page token.</summary>
    private static bool ComesFromHere(HttpRequest request)
    {
        if (request.Headers["Sec-Fetch-Site"] is { Count: > 0 } site && site != "same-origin")
            return false;
        var origin = request.Headers.Origin;
        return origin.Count == 0
            || (
                Uri.TryCreate(origin, UriKind.Absolute, out var from)
                && string.Equals(from.Authority, Authority(request, from), StringComparison.OrdinalIgnoreCase)
            );
    }

    /// <summary>The Host header without the default port of the origin's scheme.</summary>
    private static string? Authority(HttpRequest request, Uri origin) =>
        Uri.TryCreate($"{origin.Scheme}://{request.Host.Value}", UriKind.Absolute, out var here) ? here.Authority : null;
}
