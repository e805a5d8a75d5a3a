using System.Net;
using System.Net.Sockets;
using System.Text;
using Retouch.Core.Errors;

namespace Retouch.Arena.Tests.Site;

/// <summary>
/// Security: access to other files, votes for other raters or from other sites, and malformed requests.
/// </summary>
public sealed class SecurityTests : IAsyncLifetime, IDisposable
{
    private const string AccessToken = "a-token-of-enough-characters";
    private readonly TestStudy _study = new();
    private readonly List<string> _log = [];
    private ArenaServer _server = null!;

    public async Task InitializeAsync() =>
        _server = await ArenaServer.StartAsync(_study.Options with { CheckEvery = 0 }, TimeProvider.System, _log.Add);

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        Assert.Empty(_log);
    }

    public void Dispose() => _study.Dispose();

    private int Votes() => StudyReports.Results(_server.VotesFile, TimeProvider.System).Votes;

    /// <summary>Sends raw bytes, since HttpClient normalises paths and headers.</summary>
    private async Task<string> Raw(string request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, new Uri(_server.Address).Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request));
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync();
    }

    private Task<string> RawGet(string path, string host = "127.0.0.1", string more = "") =>
        Raw($"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");

    [Theory]
    [InlineData("/pictures/../arena.sqlite")]
    [InlineData("/pictures/..%2farena.sqlite")]
    [InlineData("/pictures/%2e%2e/arena.sqlite")]
    [InlineData("/pictures/....//arena.sqlite")]
    [InlineData("/pictures/secret-alpha/000.png")]
    [InlineData("/pictures/secret-alpha%2f000.png")]
    [InlineData("/pictures//etc/passwd")]
    [InlineData("/pictures/%2fetc%2fpasswd")]
    [InlineData("/assets/../arena.sqlite")]
    [InlineData("/assets/..%2f..%2fetc%2fpasswd")]
    [InlineData("/assets/%00")]
    [InlineData("/arena.sqlite")]
    [InlineData("/secret-alpha/000.png")]
    public async Task Path_traversal_is_rejected(string path)
    {
        using var rater = new RaterClient(_server.Address);
        await rater.Join("A");
        var cookie = rater.Cookies.GetCookieHeader(new(_server.Address));
        var reply = await RawGet(path, more: $"Cookie: {cookie}\r\n");
        Assert.Matches("^HTTP/1.1 (400|404) ", reply);
        Assert.DoesNotContain("PNG", reply);
        Assert.DoesNotContain("SQLite", reply);
    }

    [Theory]
    [InlineData("/assets/icon.svg")]
    [InlineData("/favicon.ico")] // requested by browsers for pages without an icon link
    public async Task The_icon_is_served(string path)
    {
        var reply = await RawGet(path);
        Assert.StartsWith("HTTP/1.1 200 ", reply);
        Assert.Contains("Content-Type: image/svg+xml", reply);
        Assert.Contains("<svg", reply);
    }

    [Theory]
    [InlineData("evil.example")]
    [InlineData("127.0.0.1.evil.example")]
    [InlineData("192.168.1.1")]
    [InlineData("")]
    public async Task Unknown_host_names_are_rejected(string host) => Assert.StartsWith("HTTP/1.1 400 ", await RawGet("/", host));

    [Theory]
    [InlineData("localhost")]
    [InlineData("127.0.0.1:9999")] // behind a tunnel
    [InlineData("[::1]:8137")]
    public async Task Own_names_are_answered(string host) => Assert.StartsWith("HTTP/1.1 200 ", await RawGet("/", host));

    [Fact]
    public async Task Votes_from_other_sites_are_rejected()
    {
        using var rater = new RaterClient(_server.Address);
        await rater.Join("A");
        var ballot = System.Text.Json.JsonSerializer.Serialize(RaterClient.Ballot(await rater.Task(), "left"));
        (string, string)[][] forgeries =
        [
            [("Origin", "http://evil.example")],
            [("Origin", "null")],
            [("Origin", "http://127.0.0.1:1")],
            [("Sec-Fetch-Site", "cross-site")],
            [("Sec-Fetch-Site", "same-site")],
            [("X-Arena-Token", "")],
            [("X-Arena-Token", rater.Token + "x")],
        ];
        foreach (var headers in forgeries)
        {
            using var reply = await rater.PostText("/api/vote", ballot, headers: headers);
            Assert.Equal(HttpStatusCode.Forbidden, reply.StatusCode);
        }

        // Request that a form of another site can send.
        foreach (var type in (string[])["text/plain", "application/x-www-form-urlencoded"])
        {
            using var reply = await rater.PostText("/api/vote", ballot, type);
            Assert.Equal(HttpStatusCode.UnsupportedMediaType, reply.StatusCode);
        }

        Assert.Equal(0, Votes());
        using var own = await rater.PostText(
            "/api/vote",
            ballot,
            headers: [("Origin", _server.Address), ("Sec-Fetch-Site", "same-origin")]
        );
        Assert.Equal(HttpStatusCode.OK, own.StatusCode);
        Assert.Equal(1, Votes());
    }

    [Fact]
    public async Task Votes_on_other_raters_tasks_are_rejected()
    {
        using var rater = new RaterClient(_server.Address);
        using var thief = new RaterClient(_server.Address);
        await rater.Join("A");
        await thief.Join("B");
        var task = await rater.Task();
        using (var reply = await thief.Post("/api/vote", RaterClient.Ballot(task, "left")))
            Assert.Equal(HttpStatusCode.BadRequest, reply.StatusCode);
        // With the other rater's page token but without the cookie.
        thief.Token = rater.Token;
        using (var reply = await thief.Post("/api/vote", RaterClient.Ballot(task, "left")))
            Assert.Equal(HttpStatusCode.Forbidden, reply.StatusCode);
        using (var reply = await thief.Post("/api/join", new { name = "a" }))
            Assert.Equal(HttpStatusCode.Forbidden, reply.StatusCode);
        Assert.Equal(0, Votes());
    }

    [Fact]
    public async Task Rater_names_are_unique()
    {
        using var rater = new RaterClient(_server.Address);
        using var other = new RaterClient(_server.Address);
        await rater.Join("Ann");
        await other.Open();
        using var reply = await other.Post("/api/join", new { name = " ANN " });
        Assert.Equal(HttpStatusCode.Conflict, reply.StatusCode);
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("\"left\"")]
    [InlineData("{}")]
    [InlineData("""{"assignment":1,"key":"12345678"}""")]
    [InlineData("""{"assignment":"1","key":"12345678","answer":"left"}""")]
    [InlineData("""{"assignment":1,"key":"12345678","answer":"up"}""")]
    [InlineData("""{"assignment":1,"key":"12345678","answer":0}""")]
    [InlineData("""{"assignment":1,"key":"12345678","answer":"left, right"}""")]
    [InlineData("""{"assignment":1,"key":"12345678","answer":"yes"}""")]
    [InlineData("""{"assignment":1,"key":"1","answer":"left"}""")]
    [InlineData("""{"assignment":1,"key":null,"answer":"left"}""")]
    [InlineData("""{"assignment":1,"key":"12345678; DROP","answer":"left"}""")]
    [InlineData("""{"assignment":1,"key":"12345678","answer":"left","milliseconds":-1}""")]
    [InlineData("""{"assignment":1,"key":"12345678","answer":"left","leftFlaws":"huge"}""")]
    [InlineData("""{"assignment":1,"key":"12345678","answer":"left","rater":2}""")]
    [InlineData("""{"assignment":1,"key":"12345678","answer":"left","answer":"right"}""")]
    [InlineData("""{"assignment":99999999999999999999,"key":"12345678","answer":"left"}""")]
    [InlineData("""{"assignment":7,"key":"12345678","answer":"left"}""")]
    [InlineData("""{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}}}}""")]
    public async Task Malformed_votes_are_rejected_without_effect(string body)
    {
        using var rater = new RaterClient(_server.Address);
        await rater.Join("A");
        var task = await rater.Task();
        Assert.Equal(1, task.GetProperty("assignment").GetInt64());
        using var reply = await rater.PostText("/api/vote", body);
        Assert.Equal(HttpStatusCode.BadRequest, reply.StatusCode);
        Assert.Equal(0, Votes());
        Assert.Equal(task.ToString(), (await rater.Task()).ToString());
    }

    [Fact]
    public async Task Oversized_requests_are_rejected()
    {
        using var rater = new RaterClient(_server.Address);
        await rater.Join("A");
        using (var reply = await rater.PostText("/api/vote", "{\"key\":\"" + new string('x', 20_000) + "\"}"))
            Assert.Equal(HttpStatusCode.RequestEntityTooLarge, reply.StatusCode);
        Assert.StartsWith("HTTP/1.1 414 ", await RawGet("/" + new string('x', 5000)));
        Assert.StartsWith("HTTP/1.1 431 ", await RawGet("/", more: $"X-Long: {new string('x', 20_000)}\r\n"));
        // Without a Content-Length.
        var chunk = new string('x', 5000);
        var chunks = string.Concat(Enumerable.Repeat($"1388\r\n{chunk}\r\n", 4)) + "0\r\n\r\n";
        var cookie = rater.Cookies.GetCookieHeader(new(_server.Address));
        Assert.StartsWith(
            "HTTP/1.1 413 ",
            await Raw(
                $"POST /api/vote HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nCookie: {cookie}\r\nX-Arena-Token: "
                    + $"{rater.Token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
            )
        );
        Assert.Equal(0, Votes());
    }

    [Fact]
    public async Task Pictures_need_a_session()
    {
        using var rater = new RaterClient(_server.Address);
        await rater.Join("A");
        var name = (await rater.Task()).GetProperty("left").GetString();
        using var stranger = new RaterClient(_server.Address);
        using var reply = await stranger.Get($"/pictures/{name}");
        Assert.Equal(HttpStatusCode.Unauthorized, reply.StatusCode);
    }

    [Fact]
    public async Task Results_are_restricted_to_the_owner()
    {
        using var rater = new RaterClient(_server.Address);
        await rater.Join("A");
        foreach (
            var path in (string[])
                [
                    "/results",
                    "/results?token=" + AccessToken,
                    "/api/owner/results",
                    "/results/votes.jsonl",
                    "/api/owner/preferences?question=appeal",
                    "/results/preferences.zip?question=appeal",
                ]
        )
        {
            using var reply = await rater.Get(path);
            Assert.Equal(HttpStatusCode.Forbidden, reply.StatusCode);
        }

        using (var reply = await rater.Post("/api/owner/exclude", new { rater = 1, excluded = true }))
            Assert.Equal(HttpStatusCode.Forbidden, reply.StatusCode);
        using var owner = new RaterClient(_server.Address);
        await owner.Open(new Uri(_server.OwnerLink).PathAndQuery, "/api/owner/session");
        Assert.Contains("\"votes\":0", await (await owner.Get("/api/owner/results")).Content.ReadAsStringAsync());
        using (var reply = await owner.Post("/api/owner/exclude", new { rater = 1, excluded = true }))
            Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
        using (var reply = await owner.Post("/api/owner/exclude", new { rater = 99, excluded = true }))
            Assert.Equal(HttpStatusCode.NotFound, reply.StatusCode);
    }

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("192.0.2.1")]
    [InlineData("::")]
    public void Other_addresses_need_a_token(string address)
    {
        var open = _study.Options with { Address = IPAddress.Parse(address) };
        Assert.Contains("--token", Assert.Throws<UsageException>(open.Validate).Message);
        Assert.Throws<UsageException>((open with { Token = "short" }).Validate);
        (open with { Token = AccessToken }).Validate();
    }

    [Fact]
    public async Task A_token_is_exchanged_for_a_cookie()
    {
        using var other = new TestStudy();
        await using var guarded = await ArenaServer.StartAsync(other.Options with { Token = AccessToken }, TimeProvider.System, _log.Add);
        using var rater = new RaterClient(guarded.Address);
        foreach (
            var path in (string[])
                [
                    "/",
                    "/api/session",
                    "/join",
                    "/join?token=",
                    "/join?token=wrong",
                    "/join?rater=",
                    "/join?rater=wrong",
                    $"/join?token={AccessToken}x",
                ]
        )
        {
            using var refused = await rater.Get(path);
            Assert.Contains(refused.StatusCode, (HttpStatusCode[])[HttpStatusCode.Forbidden, HttpStatusCode.Unauthorized]);
            Assert.False(refused.Headers.Contains("Set-Cookie"));
        }

        using (var entered = await rater.Get(new Uri(guarded.RaterLink!).PathAndQuery))
        {
            var cookie = Assert.Single(entered.Headers.GetValues("Set-Cookie"));
            Assert.Contains("httponly", cookie);
            Assert.Contains("samesite=strict", cookie);
            Assert.DoesNotContain(AccessToken, cookie);
        }

        await rater.Join("A");
        Assert.True((await rater.Task()).TryGetProperty("assignment", out _));
    }

    [Fact]
    public async Task Forged_cookies_are_rejected()
    {
        using var rater = new RaterClient(_server.Address);
        await rater.Join("A");
        var cookie = rater.Cookies.GetCookieHeader(new(_server.Address));
        Assert.StartsWith("HTTP/1.1 200 ", await RawGet("/api/session", more: $"Cookie: {cookie}\r\n"));
        Assert.StartsWith("HTTP/1.1 401 ", await RawGet("/api/session", more: $"Cookie: {cookie[..^3]}AAA\r\n"));
        // A rater's cookie under the name of the owner's.
        Assert.StartsWith("HTTP/1.1 403 ", await RawGet("/results", more: $"Cookie: {cookie.Replace("arena_rater", "arena_owner")}\r\n"));
    }

    [Fact]
    public async Task Every_reply_forbids_scripts_and_frames()
    {
        using var rater = new RaterClient(_server.Address);
        foreach (var path in (string[])["/", "/api/session", "/nothing", "/assets/rate.js", "/results"])
        {
            using var reply = await rater.Get(path);
            var policy = Assert.Single(reply.Headers.GetValues("Content-Security-Policy"));
            Assert.Contains("default-src 'none'", policy);
            Assert.DoesNotContain("unsafe", policy);
            Assert.Equal("no-referrer", Assert.Single(reply.Headers.GetValues("Referrer-Policy")));
            Assert.False(reply.Headers.Contains("Server"));
        }
    }
}
