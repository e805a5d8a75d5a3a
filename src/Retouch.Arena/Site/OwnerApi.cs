using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Retouch.Arena.Results;

namespace Retouch.Arena.Site;

/// <summary>What the owner's page calls.</summary>
internal sealed class OwnerApi(ServedStudy study, Sessions sessions)
{
    private sealed record ExcludeBody(long Rater, bool Excluded);

    /// <summary>Adds the calls.</summary>
    public void AddTo(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/api/owner/session", Session);
        routes.MapGet("/api/owner/results", Results);
        routes.MapPost("/api/owner/exclude", Exclude);
        routes.MapGet("/results/votes.jsonl", Votes);
    }

    private Task Session(HttpContext context) => sessions.Of(context, Role.Owner) is { } session
        ? Replies.Send(context, new { title = study.Title, token = sessions.PageToken(Role.Owner, session), links = study.File.Raters.All().Select(r => new { r.Name, link = study.LinkOf(r) }), folder = study.Options.Folder })
        : Replies.Refuse(context, StatusCodes.Status401Unauthorized, "Open the owner's link that 'retouch arena' printed.");

    private Task Results(HttpContext context)
    {
        if (sessions.OfCall(context, Role.Owner) is null)
            return Forbid(context);
        var ratings = context.Request.Query["ratings"];
        if (ratings.Count == 0)
            return Replies.Send(context, ResultsBuilder.Of(study.File));
        return int.TryParse(ratings, out var needed) && needed is >= 1 and <= 1000
            ? Replies.Send(context, ResultsBuilder.Of(study.File, needed))
            : Replies.Refuse(context, StatusCodes.Status400BadRequest, "ratings lies between 1 and 1000.");
    }

    private async Task Exclude(HttpContext context)
    {
        if (sessions.OfCall(context, Role.Owner) is null)
            await Forbid(context).ConfigureAwait(false);
        else if (await Replies.Read<ExcludeBody>(context).ConfigureAwait(false) is { } body)
        {
            if (study.File.Raters.SetExcluded(body.Rater, body.Excluded))
                await Replies.Send(context, new { body.Rater, body.Excluded }).ConfigureAwait(false);
            else
                await Replies.Refuse(context, StatusCodes.Status404NotFound, "There is no such rater.").ConfigureAwait(false);
        }
    }

    /// <summary>A download by a plain link, which cannot carry the header; it changes nothing, and the cookie comes from this site alone.</summary>
    private async Task Votes(HttpContext context)
    {
        if (sessions.Of(context, Role.Owner) is null)
        {
            await Forbid(context).ConfigureAwait(false);
            return;
        }

        context.Response.ContentType = "application/jsonl; charset=utf-8";
        context.Response.Headers.ContentDisposition = "attachment; filename=\"votes.jsonl\"";
        foreach (var line in VoteLines.Of(study.File))
            await context.Response.WriteAsync(line + "\n", context.RequestAborted).ConfigureAwait(false);
    }

    private static Task Forbid(HttpContext context) => Replies.Refuse(context, StatusCodes.Status403Forbidden, "Open the owner's link that 'retouch arena' printed.");
}
