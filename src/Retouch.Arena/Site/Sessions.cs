using Microsoft.AspNetCore.Http;

namespace Retouch.Arena.Site;

/// <summary>Who may come in.</summary>
internal enum Role
{
    /// <summary>Judges; never learns which model is which.</summary>
    Rater,

    /// <summary>Sees the results.</summary>
    Owner,
}

/// <summary>
/// Browser sessions: a random id and a signature that only this study can make, in a cookie that scripts cannot read and other sites cannot
/// send along. Nothing is kept here, so a restart ends no session; another access token does.
/// </summary>
internal sealed class Sessions(Secrets secrets, string? accessToken)
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);

    /// <summary>The header that every call of the API carries; a form or link of another site cannot.</summary>
    public const string TokenHeader = "X-Arena-Token";

    /// <summary>The session of a request, or null where it has none that is genuine.</summary>
    public string? Of(HttpContext context, Role role)
    {
        if (context.Request.Cookies[CookieName(role)] is not { } cookie || cookie.IndexOf('.') is not (> 0 and var dot))
            return null;
        var id = cookie[..dot];
        return Secrets.Same(cookie[(dot + 1)..], Sign(role, id)) ? id : null;
    }

    /// <summary>Begins a session and gives the browser its cookie.</summary>
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

    /// <summary>What a session's own pages send in <see cref="TokenHeader"/>.</summary>
    public string PageToken(Role role, string session) => secrets.Derive("page", role.ToString(), session);

    /// <summary>The session of a call of the API, or null where its cookie or its header is missing or wrong.</summary>
    public string? OfCall(HttpContext context, Role role) =>
        Of(context, role) is { } session && Secrets.Same(context.Request.Headers[TokenHeader], PageToken(role, session)) ? session : null;

    private string CookieName(Role role) => $"arena_{role.ToString().ToLowerInvariant()}_{secrets.StudyMark}";

    private string Sign(Role role, string id) => secrets.Derive("session", role.ToString(), Secrets.HashOf(accessToken ?? ""), id);
}
