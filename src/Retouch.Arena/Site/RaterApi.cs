using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Retouch.Arena.Study;
using Retouch.Arena.Votes;
using Retouch.Web;

namespace Retouch.Arena.Site;

/// <summary>API of the rater's page. No reply names a model.</summary>
internal sealed class RaterApi(ServedStudy study, Sessions sessions)
{
    private const int MostRaters = 1000;
    private const int LongestJudgement = 24 * 60 * 60 * 1000;

    private sealed record JoinBody(string Name);

    private sealed record UndoBody(string Key);

    /// <summary>Adds the routes.</summary>
    public void AddTo(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/api/session", Session);
        routes.MapPost("/api/join", Join);
        routes.MapGet("/api/task", context => ForRater(context, Current));
        routes.MapPost("/api/vote", context => ForRater(context, Vote));
        routes.MapPost("/api/undo", context => ForRater(context, Undo));
        routes.MapGet("/pictures/{name}", Picture);
    }

    private Task Session(HttpContext context)
    {
        if (sessions.Of(context, Role.Rater) is not { } session)
            return Replies.Refuse(context, StatusCodes.Status401Unauthorized, "Open your invitation link.");
        var rater = study.File.Raters.OfSession(Secrets.HashOf(session));
        return Replies.Send(
            context,
            new
            {
                title = study.Title,
                questions = study.Plan.Questions,
                token = sessions.PageToken(Role.Rater, session),
                rater = rater?.Name,
                link = rater is null ? null : study.LinkOf(rater),
                byInvitation = study.Options.Raters.Count > 0,
            }
        );
    }

    private async Task Join(HttpContext context)
    {
        if (sessions.OfCall(context, Role.Rater) is not { } session)
        {
            await Replies.Refuse(context, StatusCodes.Status403Forbidden, "Reload the page and try again.").ConfigureAwait(false);
            return;
        }

        if (await Replies.Read<JoinBody>(context).ConfigureAwait(false) is not { } body)
            return;
        var key = Secrets.HashOf(session);
        var rater = study.File.Raters.OfSession(key);
        if (rater is null)
        {
            if (study.Options.Raters.Count > 0)
            {
                await Replies
                    .Refuse(context, StatusCodes.Status403Forbidden, "This study is by invitation: open your personal link.")
                    .ConfigureAwait(false);
                return;
            }

            if (RaterName.Tidy(body.Name) is not { } name || study.File.Raters.All().Count >= MostRaters)
            {
                await Replies
                    .Refuse(context, StatusCodes.Status400BadRequest, $"Choose a name of 1 to {RaterName.Longest} characters.")
                    .ConfigureAwait(false);
                return;
            }

            rater = study.File.Raters.Join(key, name);
            if (rater is null)
            {
                await Replies
                    .Refuse(
                        context,
                        StatusCodes.Status409Conflict,
                        "This name is taken. If it is yours, continue in your first browser or with your personal link; "
                            + "otherwise choose another name."
                    )
                    .ConfigureAwait(false);
                return;
            }
        }

        await Replies.Send(context, new { rater = rater.Name, link = study.LinkOf(rater) }).ConfigureAwait(false);
    }

    private async Task ForRater(HttpContext context, Func<HttpContext, Rater, Task> call)
    {
        if (sessions.OfCall(context, Role.Rater) is { } session && study.File.Raters.OfSession(Secrets.HashOf(session)) is { } rater)
            await call(context, rater).ConfigureAwait(false);
        else
            await Replies.Refuse(context, StatusCodes.Status403Forbidden, "Reload the page and try again.").ConfigureAwait(false);
    }

    private Task Current(HttpContext context, Rater rater)
    {
        var (given, progress) = study.Scheduler.Next(rater.Id);
        if (given is null)
            return Replies.Send(
                context,
                new
                {
                    finished = true,
                    progress,
                    canUndo = progress.Done > 0,
                }
            );
        var previous = study.File.Votes.Previous(given);
        var (left, right) = study.Sides(given);
        return Replies.Send(
            context,
            new
            {
                assignment = given.Id,
                given.Task.Question,
                left,
                right,
                // Other questions hide the prompt, so it is not sent.
                prompt = given.Task.Question == Question.Alignment ? study.PromptOf(given.Task.Item) : null,
                previous = previous is null
                    ? null
                    : new
                    {
                        previous.Answer,
                        previous.LeftFlaws,
                        previous.RightFlaws,
                    },
                progress,
                canUndo = progress.Done > 0,
            }
        );
    }

    private async Task Vote(HttpContext context, Rater rater)
    {
        if (await Replies.Read<Ballot>(context).ConfigureAwait(false) is not { } ballot)
            return;
        if (!IsKey(ballot.Key) || ballot.Milliseconds is < 0 or > LongestJudgement)
            await Replies.Refuse(context, StatusCodes.Status400BadRequest, "Invalid judgement.").ConfigureAwait(false);
        else
            await Answer(context, study.File.Votes.Cast(rater.Id, ballot)).ConfigureAwait(false);
    }

    private async Task Undo(HttpContext context, Rater rater)
    {
        if (await Replies.Read<UndoBody>(context).ConfigureAwait(false) is not { } body)
            return;
        if (!IsKey(body.Key))
            await Replies.Refuse(context, StatusCodes.Status400BadRequest, "The key is missing.").ConfigureAwait(false);
        else
            await Answer(context, study.File.Votes.Undo(rater.Id, body.Key)).ConfigureAwait(false);
    }

    private async Task Picture(HttpContext context)
    {
        var name = (string)context.Request.RouteValues["name"]!;
        if (sessions.Of(context, Role.Rater) is null)
        {
            await Replies.Refuse(context, StatusCodes.Status401Unauthorized, "Open your invitation link.").ConfigureAwait(false);
            return;
        }

        if (study.Shelf.Find(name) is not { } png)
        {
            await Replies.Refuse(context, StatusCodes.Status404NotFound, "Unknown picture.").ConfigureAwait(false);
            return;
        }

        context.Response.ContentType = "image/png";
        context.Response.ContentLength = png.Length;
        context.Response.Headers.CacheControl = "private, max-age=86400, immutable";
        await context.Response.Body.WriteAsync(png, context.RequestAborted).ConfigureAwait(false);
    }

    private static bool IsKey(string? key) =>
        key is { Length: >= 8 and <= 64 } && key.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    private static Task Answer(HttpContext context, Receipt receipt) =>
        receipt.Kind switch
        {
            ReceiptKind.Kept => Replies.SendText(context, receipt.Content!),
            ReceiptKind.NotGiven => Replies.Refuse(context, StatusCodes.Status400BadRequest, "This task was not assigned."),
            ReceiptKind.AlreadyJudged => Replies.Refuse(context, StatusCodes.Status409Conflict, "This task is already judged."),
            ReceiptKind.KeyReused => Replies.Refuse(context, StatusCodes.Status409Conflict, "That key belongs to another judgement."),
            _ => Replies.Refuse(context, StatusCodes.Status409Conflict, "No judgement to undo."),
        };
}
