using System.Net;
using System.Net.Sockets;
using System.Text;
using Retouch.Arena.Tests.Browser;
using Retouch.Core.Errors;
using Retouch.Experiments.Watching;
using Retouch.Images;
using Retouch.Watch;

namespace Retouch.Cli.Tests.Watching;

/// <summary>The page of runs: content, updates while a run is written, and requests for other files.</summary>
public sealed class WatchServerTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("retouch-watch-").FullName;

    public WatchServerTests()
    {
        Write("one");
        Write("two");
        File.WriteAllText(Path.Combine(_root, "secret.png"), "secret");
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task The_page_follows_a_run_and_ignores_an_incomplete_line()
    {
        await using var server = await WatchServer.StartAsync(new WatchOptions { Runs = [Run("one")] }, static _ => { });
        using var client = new HttpClient { BaseAddress = new(server.Address) };
        var page = await client.GetStringAsync("/");
        Assert.Contains("Run one", page, StringComparison.Ordinal);
        string[] titles = ["Held-out latent", "Total loss", "Shares of the loss", "Gradient ratio: lpl", "Time per step", "a note"];
        foreach (var title in titles)
            Assert.Contains(title, page, StringComparison.Ordinal);
        Assert.Contains("runs/0/samples/step-00000002.png", page, StringComparison.Ordinal);
        Assert.Contains(">2</dd>", page, StringComparison.Ordinal);
        var version = await client.GetStringAsync("/version");
        Assert.Equal(version, await client.GetStringAsync("/version"));
        File.AppendAllText(Path.Combine(Run("one"), "metrics.jsonl"), Line(3) + Line(4).TrimEnd('\n')[..20]);
        Assert.NotEqual(version, await client.GetStringAsync("/version"));
        Assert.Contains(">3</dd>", await client.GetStringAsync("/"), StringComparison.Ordinal);
        // The rest of the line.
        File.AppendAllText(Path.Combine(Run("one"), "metrics.jsonl"), Line(4)[20..]);
        Assert.Contains(">4</dd>", await client.GetStringAsync("/"), StringComparison.Ordinal);
        var png = await client.GetAsync(new Uri("/runs/0/samples/step-00000002.png", UriKind.Relative));
        Assert.Equal("image/png", png.Content.Headers.ContentType!.MediaType);
        Assert.Equal(
            await File.ReadAllBytesAsync(Path.Combine(Run("one"), "samples", "step-00000002.png")),
            await png.Content.ReadAsByteArrayAsync()
        );
    }

    [ChromiumFact]
    public async Task The_page_is_updated_in_place_and_keeps_sample_zoom_and_position()
    {
        var server = await WatchServer.StartAsync(new WatchOptions { Runs = [Run("one")] }, static _ => { });
        await using var browser = await Chromium.Start();
        await browser.Screen(900, 500);
        await browser.Open(server.Address + "/");
        await browser.Until("document.querySelector('.live')?.textContent.startsWith('live, updated')");
        await browser.Evaluate("document.querySelector('[data-zoom=\"4\"]').click()");
        await browser.Evaluate("document.querySelector('.pictures [data-do=next]').click()");
        Assert.Contains("step 1", await browser.Evaluate("document.querySelector('.pictures .sample').textContent"));
        await browser.Evaluate("scrollTo({ top: 200, behavior: 'instant' })");

        AddGrid("one", 3);
        File.AppendAllText(Path.Combine(Run("one"), "metrics.jsonl"), Line(3));
        await browser.Until("document.querySelectorAll('.thumbs img').length === 3");
        Assert.Equal("true", await browser.Evaluate("document.querySelector('[data-zoom=\"4\"]').getAttribute('aria-pressed')"));
        Assert.Contains("step 1", await browser.Evaluate("document.querySelector('.pictures .sample').textContent"));
        Assert.Equal("200", await browser.Evaluate("String(Math.round(scrollY))"));
        Assert.Empty(browser.Complaints);

        await server.DisposeAsync();
        await browser.Until("document.querySelector('.live.lost')");
    }

    [Fact]
    public void A_resumed_run_is_read_again()
    {
        var run = WatchedRun.Open([Run("one")])[0];
        Assert.Equal([1.0, 2], run.Metrics["loss/total"].Steps);
        File.WriteAllText(Path.Combine(Run("one"), "metrics.jsonl"), Line(1) + Line(2, loss: 9) + Line(3));
        run.Refresh();
        Assert.Equal([0.5, 9, 0.25], run.Metrics["loss/total"].Values.Select(static v => Math.Round(v, 2)));
        File.AppendAllText(Path.Combine(Run("one"), "metrics.jsonl"), "{\n");
        run.Refresh();
        Assert.Contains("line 4 is not a metrics record", run.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/runs/0/samples/..%2fmetrics.jsonl")]
    [InlineData("/runs/0/samples/../options.json")]
    [InlineData("/runs/0/samples/%2e%2e%2f%2e%2e%2fsecret.png")]
    [InlineData("/runs/0/samples/options.json")]
    [InlineData("/runs/0/samples/step-99999999.png")] // a link out of the folder
    [InlineData("/runs/7/samples/step-00000002.png")]
    [InlineData("/runs/-1/samples/step-00000002.png")]
    [InlineData("/metrics.jsonl")]
    [InlineData("/%2fetc%2fpasswd")]
    public async Task Only_listed_sample_grids_are_served(string path)
    {
        File.CreateSymbolicLink(Path.Combine(Run("one"), "samples", "step-99999999.png"), Path.Combine(_root, "secret.png"));
        await using var server = await WatchServer.StartAsync(new WatchOptions { Runs = [Run("one")] }, static _ => { });
        var reply = await Raw(server, path, "127.0.0.1");
        Assert.Matches("^HTTP/1.1 404 ", reply);
        Assert.DoesNotContain("secret", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Other_host_names_are_refused()
    {
        await using var server = await WatchServer.StartAsync(new WatchOptions { Runs = [Run("one")] }, static _ => { });
        Assert.Matches("^HTTP/1.1 400 ", await Raw(server, "/", "evil.example"));
        Assert.Contains("script-src 'sha256-", await Raw(server, "/version", "127.0.0.1"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Several_runs_share_charts_and_grids()
    {
        await using var server = await WatchServer.StartAsync(new WatchOptions { Runs = [Run("one"), Run("two")] }, static _ => { });
        Assert.Equal(["one", "two"], server.Runs);
        using var client = new HttpClient { BaseAddress = new(server.Address) };
        var page = await client.GetStringAsync("/");
        Assert.Contains("2 runs", page, StringComparison.Ordinal);
        Assert.Contains("lpl, unweighted", page, StringComparison.Ordinal);
        Assert.Contains("runs/1/samples/step-00000002.png", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Wrong_folders_and_ports_are_errors()
    {
        var missing = await Assert.ThrowsAsync<InputException>(() => Start(Path.Combine(_root, "nowhere"), 0));
        Assert.Contains("is not a run", missing.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<InputException>(() => Start(_root, 0));
        var port = await Assert.ThrowsAsync<UsageException>(() => Start(Run("one"), 70000));
        Assert.Contains("--port is 70000", port.Message, StringComparison.Ordinal);
        await using var server = await WatchServer.StartAsync(new WatchOptions { Runs = [Run("one")] }, static _ => { });
        await Assert.ThrowsAsync<EnvironmentException>(() => Start(Run("two"), new Uri(server.Address).Port));
    }

    [Fact]
    public void The_report_is_self_contained()
    {
        var path = RunReport.Write(Run("one"));
        Assert.Equal(Path.Combine(Run("one"), "report.html"), path);
        var html = File.ReadAllText(path);
        Assert.Contains("data:image/png;base64,", html, StringComparison.Ordinal);
        Assert.DoesNotContain("connect-src", html, StringComparison.Ordinal);
        Assert.DoesNotContain("runs/0/samples", html, StringComparison.Ordinal);
    }

    private static Task<WatchServer> Start(string run, int port) =>
        WatchServer.StartAsync(new WatchOptions { Runs = [run], Port = port }, static _ => { });

    private static async Task<string> Raw(WatchServer server, string path, string host)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, new Uri(server.Address).Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync();
    }

    private static string Line(int step, double? loss = null) =>
        string.Join(
            ',',
            FormattableString.Invariant($$"""{"step":{{step}},"time":{{step}},"loss/total":{{loss ?? 1.0 / (1 + step)}}"""),
            """ "loss/latent/raw":0.5,"loss/latent/share":0.8,"loss/lpl/raw":0.2,"loss/lpl/share":0.2,"lpl/gradient_ratio":0.3""",
            """ "gradient/norm":1,"time/step":0.5,"memory/resident":1e9}""" + "\n"
        );

    private string Run(string name) => Path.Combine(_root, name);

    private void Write(string name)
    {
        Directory.CreateDirectory(Path.Combine(Run(name), "samples"));
        File.WriteAllText(Path.Combine(Run(name), "options.json"), """{ "steps": 10, "data": { "size": 16 } }""");
        File.WriteAllText(
            Path.Combine(Run(name), "metrics.jsonl"),
            """{"step":0,"time":0,"validation/weights/latent":0.9,"validation/weights/latent/t0-500":0.8}""" + "\n" + Line(1) + Line(2)
        );
        File.WriteAllText(Path.Combine(Run(name), "log.txt"), "2026-01-01 00:00:00  a note\n");
        AddGrid(name, 1);
        AddGrid(name, 2);
    }

    private void AddGrid(string name, int step) =>
        File.WriteAllBytes(
            Path.Combine(Run(name), "samples", $"step-{step:D8}.png"),
            PictureFile.Encode(Picture.Filled(8, 8, new Rgb((byte)(70 * step), 20, 30)), PictureFormat.Png)
        );
}
