using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace Retouch.Arena.Tests;

/// <summary>A rater's browser from the server's point of view: cookies, page token, JSON.</summary>
internal sealed class RaterClient : IDisposable
{
    private readonly HttpClient _http;

    public RaterClient(string address)
    {
        Cookies = new CookieContainer();
        _http = new(
            new SocketsHttpHandler
            {
                CookieContainer = Cookies,
                UseCookies = true,
                AllowAutoRedirect = false,
            }
        )
        {
            BaseAddress = new(address),
            Timeout = TimeSpan.FromSeconds(30),
        };
    }

    public CookieContainer Cookies { get; }

    public string Token { get; set; } = "";

    /// <summary>Opens a page and its session.</summary>
    public async Task<JsonElement> Open(string path = "/", string session = "/api/session")
    {
        using var page = await _http.GetAsync(path);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        var opened = await Json(await Get(session));
        Token = opened.GetProperty("token").GetString()!;
        return opened;
    }

    public async Task Join(string name)
    {
        await Open();
        using var reply = await Post("/api/join", new { name });
        Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
    }

    public Task<HttpResponseMessage> Get(string path)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add("X-Arena-Token", Token);
        return _http.SendAsync(request);
    }

    public Task<HttpResponseMessage> Post(string path, object body) => PostText(path, JsonSerializer.Serialize(body));

    public Task<HttpResponseMessage> PostText(
        string path,
        string body,
        string type = "application/json",
        params (string Name, string Value)[] headers
    )
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, type) };
        if (!headers.Any(h => h.Name == "X-Arena-Token"))
            request.Headers.Add("X-Arena-Token", Token);
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        return _http.SendAsync(request);
    }

    public async Task<JsonElement> Task() => await Json(await Get("/api/task"));

    /// <summary>Answers the current task; false if there is none.</summary>
    public async Task<bool> Vote(Func<JsonElement, object> answer)
    {
        var task = await Task();
        if (task.TryGetProperty("finished", out _))
            return false;
        using var reply = await Post("/api/vote", answer(task));
        Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
        return true;
    }

    public static object Ballot(JsonElement task, string answer, string? key = null) =>
        new
        {
            assignment = task.GetProperty("assignment").GetInt64(),
            key = key ?? Guid.NewGuid().ToString("N"),
            answer,
        };

    public static async Task<JsonElement> Json(HttpResponseMessage reply)
    {
        using (reply)
        {
            Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
            return await reply.Content.ReadFromJsonAsync<JsonElement>();
        }
    }

    public void Dispose() => _http.Dispose();
}
