using Microsoft.AspNetCore.Http;

namespace Retouch.Arena.Site;

/// <summary>Role of a session.</summary>
internal enum Role
{
    /// <summary>Judges pictures, without access to the models' names.</summary>
    Rater,

    /// <summary>Has access to the results.</summary>
    Owner,
}

/// <summary>
/// Browser sessions: a random id with a keyed signature, in a cookie hidden from scripts and not sent by other sites. The server is
/// stateless, so sessions survive a restart, but not a new access token.
/// </summary>
internal sealed class Sessions(Secrets secrets, string? accessToken)
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);

    /// <summary>Header of every API call; forms and links of other sites cannot set it.</summary>
    public const string TokenHeader = "X-Arena-Token";

    /// <summary>Session of a request; null without a valid cookie.</summary>
    public string? Of(HttpContext context, Role role)
    {
        if (context.Request.Cookies[CookieName(role)] is not { } cookie || cookie.IndexOf('.') is not (> 0 and var dot))
            return null;
        var id = cookie[..dot];
        return Secrets.Same(cookie[(dot + 1)..], Sign(role, id)) ? id : null;
    }

    /// <summary>Starts a session and sets its cookie.</summary>
    public string Begin(HttpContext context, Role role)
    {
        var id = Secrets.NewRandom();
        context.Response.Cookies.Append(
            CookieName(role),
            $"{id}.{Sign(role, id)}",
            new CookieOptions
            {
                HttpOnly = true,
                SameSite = SameSiteMode.Strict,
                Secure = context.Request.IsHttps,
                Path = "/",
                MaxAge = Lifetime,
                IsEssential = true,
            }
        );
        return id;
    }

    /// <summary>Value of <see cref="TokenHeader"/> for the pages of a session.</summary>
    public string PageToken(Role role, string session) => secrets.Derive("page", role.ToString(), session);

    /// <summary>Session of an API call; null if cookie or header is missing or invalid.</summary>
    public string? OfCall(HttpContext context, Role role) =>
        Of(context, role) is { } session && Secrets.Same(context.Request.Headers[TokenHeader], PageToken(role, session)) ? session : null;

    private string CookieName(Role role) => $"arena_{role.ToString().ToLowerInvariant()}_{secrets.StudyMark}";

    private string Sign(Role role, string id) => secrets.Derive("session", role.ToString(), Secrets.HashOf(accessToken ?? ""), id);
}
