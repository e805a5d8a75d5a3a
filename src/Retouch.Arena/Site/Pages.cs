using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Retouch.Web;

namespace Retouch.Arena.Site;

/// <summary>Pages and their entry links.</summary>
internal sealed class Pages(ServedStudy study, Sessions sessions, Secrets secrets)
{
    /// <summary>Adds the pages.</summary>
    public void AddTo(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/", Rate);
        routes.MapGet("/join", Join);
        routes.MapGet("/results", Results);
        // Browsers request it for pages without an icon link, such as downloaded files.
        routes.MapGet("/favicon.ico", static context => Assets.Send(context, "icon.svg"));
        routes.MapGet("/assets/{name}", static context => Assets.Send(context, (string)context.Request.RouteValues["name"]!));
        routes.MapFallback(static context => Replies.Refuse(context, StatusCodes.Status404NotFound, "Not found."));
    }

    private Task Rate(HttpContext context)
    {
        if (sessions.Of(context, Role.Rater) is null)
        {
            if (study.Options.Token is not null)
                return Closed(context);
            sessions.Begin(context, Role.Rater);
        }

        return Assets.Send(context, "rate.html");
    }

    /// <summary>Exchanges the token of an invitation for a cookie, so that it disappears from the address bar.</summary>
    private Task Join(HttpContext context)
    {
        var query = context.Request.Query;
        if (query["rater"] is [{ Length: > 0 } link])
        {
            // All links are compared, so that the duration reveals nothing.
            var invited = study.File.Raters.All().Where(r => Secrets.Same(link, study.KeyOf(r))).ToList();
            if (invited is not [var rater])
                return Closed(context);
            study.File.Raters.Bind(Secrets.HashOf(sessions.Begin(context, Role.Rater)), rater.Id);
            return Assets.Send(context, "enter.html");
        }

        if (study.Options.Token is not { } token || !Secrets.Same(query["token"], token))
            return Closed(context);
        if (sessions.Of(context, Role.Rater) is null)
            sessions.Begin(context, Role.Rater);
        return Assets.Send(context, "enter.html");
    }

    private Task Results(HttpContext context)
    {
        if (Secrets.Same(context.Request.Query["token"], secrets.OwnerToken))
        {
            sessions.Begin(context, Role.Owner);
            return Assets.Send(context, "enter-results.html");
        }

        return sessions.Of(context, Role.Owner) is null ? Closed(context) : Assets.Send(context, "results.html");
    }

    private static Task Closed(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status403Forbidden;
        return Assets.Send(context, "closed.html");
    }
}
