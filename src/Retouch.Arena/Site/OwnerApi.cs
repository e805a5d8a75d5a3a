using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Retouch.Arena.Results;
using Retouch.Arena.Study;
using Retouch.Core.Errors;
using Retouch.Web;

namespace Retouch.Arena.Site;

/// <summary>API of the owner's page.</summary>
internal sealed class OwnerApi(ServedStudy study, Sessions sessions)
{
    private sealed record ExcludeBody(long Rater, bool Excluded);

    /// <summary>Adds the routes.</summary>
    public void AddTo(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/api/owner/session", Session);
        routes.MapGet("/api/owner/results", Results);
        routes.MapPost("/api/owner/exclude", Exclude);
        routes.MapGet("/results/votes.jsonl", Votes);
        routes.MapGet("/api/owner/preferences", Preferences);
        routes.MapGet("/results/preferences.zip", Archive);
    }

    private Task Session(HttpContext context) =>
        sessions.Of(context, Role.Owner) is { } session
            ? Replies.Send(
                context,
                new
                {
                    title = study.Title,
                    token = sessions.PageToken(Role.Owner, session),
                    links = study.File.Raters.All().Select(r => new { r.Name, link = study.LinkOf(r) }),
                    folder = study.Options.Folder,
                }
            )
            : Replies.Refuse(context, StatusCodes.Status401Unauthorized, "Open the owner's link printed by 'retouch arena'.");

    private Task Results(HttpContext context)
    {
        if (sessions.OfCall(context, Role.Owner) is null)
            return Forbid(context);
        var ratings = context.Request.Query["ratings"];
        if (ratings.Count == 0)
            return Replies.Send(context, ResultsBuilder.Of(study.File));
        return int.TryParse(ratings, out var needed) && needed is >= 1 and <= 1000
            ? Replies.Send(context, ResultsBuilder.Of(study.File, needed))
            : Replies.Refuse(context, StatusCodes.Status400BadRequest, "ratings must be 1 to 1000.");
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
                await Replies.Refuse(context, StatusCodes.Status404NotFound, "Unknown rater.").ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Download by a plain link, without the token header: it changes nothing, and the cookie is limited to this site.
    /// </summary>
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

    /// <summary>Counts of the archive, or the reason why it is unavailable; requested before the download.</summary>
    private async Task Preferences(HttpContext context)
    {
        if (sessions.OfCall(context, Role.Owner) is null)
            await Forbid(context).ConfigureAwait(false);
        else if (await Chosen(context).ConfigureAwait(false) is { Result: var r })
            await Replies
                .Send(
                    context,
                    new
                    {
                        r.Preferences,
                        r.Pairs,
                        r.Ties,
                        r.Short,
                        r.Contradictions,
                    }
                )
                .ConfigureAwait(false);
    }

    /// <summary>A download like <see cref="Votes"/>.</summary>
    private async Task Archive(HttpContext context)
    {
        if (sessions.Of(context, Role.Owner) is null)
        {
            await Forbid(context).ConfigureAwait(false);
            return;
        }

        if (await Chosen(context).ConfigureAwait(false) is not { } set)
            return;
        // The archive's writer always writes some records synchronously.
        if (context.Features.Get<IHttpBodyControlFeature>() is { } body)
            body.AllowSynchronousIO = true;
        context.Response.ContentType = "application/zip";
        context.Response.Headers.ContentDisposition = "attachment; filename=\"preferences.zip\"";
        try
        {
            await PreferenceArchive.Write(set, study.Options.Folder, context.Response.Body, context.RequestAborted).ConfigureAwait(false);
        }
        catch (InputException)
        {
            // A picture changed during the download: aborted, so that the browser does not keep a truncated archive.
            context.Abort();
        }
    }

    /// <summary>The requested data set with checked pictures; null after an error reply.</summary>
    private async Task<PreferenceSet?> Chosen(HttpContext context)
    {
        var query = context.Request.Query;
        int? ratings = null;
        if (query["ratings"].Count > 0)
        {
            if (!int.TryParse(query["ratings"], out var needed) || needed is < 1 or > 1000)
            {
                await Replies.Refuse(context, StatusCodes.Status400BadRequest, "ratings must be 1 to 1000.").ConfigureAwait(false);
                return null;
            }

            ratings = needed;
        }

        if ((string?)query["question"] is not ("appeal" or "flaws"))
        {
            await Replies.Refuse(context, StatusCodes.Status400BadRequest, "question must be appeal or flaws.").ConfigureAwait(false);
            return null;
        }

        try
        {
            var set = PreferenceSet.Of(
                study.File,
                new PreferenceOptions
                {
                    Question = Questions.Parse(query["question"]!),
                    Ratings = ratings,
                    Ties = query["ties"] == "1",
                }
            );
            await PreferenceArchive.Check(set, study.Options.Folder, context.RequestAborted).ConfigureAwait(false);
            return set;
        }
        catch (InputException e)
        {
            await Replies.Refuse(context, StatusCodes.Status409Conflict, e.Message).ConfigureAwait(false);
            return null;
        }
    }

    private static Task Forbid(HttpContext context) =>
        Replies.Refuse(context, StatusCodes.Status403Forbidden, "Open the owner's link printed by 'retouch arena'.");
}
