using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Tests;
using Xunit.Sdk;

namespace Retouch.Arena.Tests.Browser;

/// <summary>Test that needs a browser.</summary>
[AttributeUsage(AttributeTargets.Method)]
[TraitDiscoverer(NeedsDiscoverer.Name, TestAssembly.Name)]
public sealed class ChromiumFactAttribute : FactAttribute, ITraitAttribute
{
    public string Needs => "chromium";

    public ChromiumFactAttribute()
    {
        if (Chromium.Program is null)
            Skip = "No chromium is installed (Debian's package chromium, or the variable CHROMIUM).";
    }
}

/// <summary>
/// A headless Chromium with one page, controlled over its DevTools protocol. Mouse, keyboard and touch events use the browser's own
/// input.
/// </summary>
internal sealed class Chromium : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(45);

    private readonly Process _process;
    private readonly string _profile;
    private readonly ClientWebSocket _socket = new();
    private readonly byte[] _buffer = new byte[1 << 16];
    private int _calls;

    private Chromium(Process process, string profile) => (_process, _profile) = (process, profile);

    /// <summary>Path of the browser, or null.</summary>
    public static string? Program { get; } =
        (
            (string?[])
                [Environment.GetEnvironmentVariable("CHROMIUM"), "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
        ).FirstOrDefault(static p => p is { Length: > 0 } && File.Exists(p));

    /// <summary>Script errors and blocked resources of the page so far.</summary>
    public List<string> Complaints { get; } = [];

    /// <summary>Addresses requested by the page.</summary>
    public List<string> Requests { get; } = [];

    public static async Task<Chromium> Start()
    {
        var folder = Directory.CreateTempSubdirectory("retouch-chromium-").FullName;
        string[] arguments =
        [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            "--mute-audio",
            "--hide-scrollbars",
            "--remote-debugging-port=0",
            "--user-data-dir=" + folder,
            "about:blank",
        ];
        var started = Process.Start(
            new ProcessStartInfo(Program!, arguments)
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true,
                UseShellExecute = false,
            }
        )!;
        started.BeginErrorReadLine();
        started.BeginOutputReadLine();
        var browser = new Chromium(started, folder);
        try
        {
            await browser.Connect();
            return browser;
        }
        catch
        {
            await browser.DisposeAsync();
            throw;
        }
    }

    /// <summary>Sets the screen: desktop, or phone with touch.</summary>
    public async Task Screen(int width, int height, bool dark = false, bool phone = false)
    {
        await Call(
            "Emulation.setDeviceMetricsOverride",
            new JsonObject
            {
                ["width"] = width,
                ["height"] = height,
                ["deviceScaleFactor"] = phone ? 2 : 1,
                ["mobile"] = phone,
            }
        );
        await Call("Emulation.setTouchEmulationEnabled", new JsonObject { ["enabled"] = phone });
        await Call(
            "Emulation.setEmulatedMedia",
            new JsonObject
            {
                ["features"] = new JsonArray(new JsonObject { ["name"] = "prefers-color-scheme", ["value"] = dark ? "dark" : "light" }),
            }
        );
    }

    /// <summary>Allows downloads into a folder.</summary>
    public Task SaveTo(string folder) =>
        Call("Browser.setDownloadBehavior", new JsonObject { ["behavior"] = "allow", ["downloadPath"] = folder });

    public Task Open(string address) => Call("Page.navigate", new JsonObject { ["url"] = address });

    /// <summary>Value of an expression in the page as text; "null" for undefined.</summary>
    public async Task<string> Evaluate(string expression)
    {
        var reply = await Call(
            "Runtime.evaluate",
            new JsonObject
            {
                ["expression"] = expression,
                ["awaitPromise"] = true,
                ["returnByValue"] = true,
            }
        );
        Assert.Null(reply["exceptionDetails"]?.ToJsonString());
        return reply["result"]?["value"]?.ToString() ?? "null";
    }

    /// <summary>Waits until an expression is true.</summary>
    public async Task Until(string expression)
    {
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < Patience; await Task.Delay(20))
        {
            if (await Evaluate($"!!({expression})") is "true" or "True")
                return;
        }

        Assert.Fail($"never true: {expression}\n{string.Join('\n', Complaints)}\n{await Evaluate("document.body.innerText")}");
    }

    /// <summary>Presses a key.</summary>
    public async Task Press(string key, int modifiers = 0)
    {
        var text =
            key.Length == 1 && modifiers == 0 ? key
            : key == "Enter" ? "\r"
            : null;
        var (code, number) = key switch
        {
            "Enter" => ("Enter", 13),
            "Tab" => ("Tab", 9),
            "ArrowLeft" => (key, 37),
            "ArrowRight" => (key, 39),
            "ArrowDown" => (key, 40),
            _ => (key, 0),
        };
        foreach (var type in (string[])[text is null ? "rawKeyDown" : "keyDown", "keyUp"])
        {
            var arguments = new JsonObject
            {
                ["type"] = type,
                ["key"] = key,
                ["code"] = code,
                ["modifiers"] = modifiers,
                ["windowsVirtualKeyCode"] = number,
            };
            if (text is not null && type == "keyDown")
                arguments["text"] = text;
            await Call("Input.dispatchKeyEvent", arguments);
        }
    }

    public Task Type(string text) => Call("Input.insertText", new JsonObject { ["text"] = text });

    /// <summary>Clicks the centre of an element.</summary>
    public async Task Click(string selector)
    {
        var (x, y) = await Middle(selector);
        foreach (var type in (string[])["mousePressed", "mouseReleased"])
            await Call(
                "Input.dispatchMouseEvent",
                new JsonObject
                {
                    ["type"] = type,
                    ["x"] = x,
                    ["y"] = y,
                    ["button"] = "left",
                    ["clickCount"] = 1,
                }
            );
    }

    /// <summary>Turns the wheel over an element.</summary>
    public async Task Wheel(string selector, double turn)
    {
        var (x, y) = await Middle(selector);
        await Call(
            "Input.dispatchMouseEvent",
            new JsonObject
            {
                ["type"] = "mouseWheel",
                ["x"] = x,
                ["y"] = y,
                ["deltaX"] = 0,
                ["deltaY"] = turn,
            }
        );
    }

    /// <summary>Drags from the centre of an element.</summary>
    public async Task Drag(string selector, double dx, double dy)
    {
        var (x, y) = await Middle(selector);
        await Call(
            "Input.dispatchMouseEvent",
            new JsonObject
            {
                ["type"] = "mousePressed",
                ["x"] = x,
                ["y"] = y,
                ["button"] = "left",
                ["clickCount"] = 1,
            }
        );
        await Call(
            "Input.dispatchMouseEvent",
            new JsonObject
            {
                ["type"] = "mouseMoved",
                ["x"] = x + dx,
                ["y"] = y + dy,
                ["button"] = "left",
            }
        );
        await Call(
            "Input.dispatchMouseEvent",
            new JsonObject
            {
                ["type"] = "mouseReleased",
                ["x"] = x + dx,
                ["y"] = y + dy,
                ["button"] = "left",
                ["clickCount"] = 1,
            }
        );
    }

    /// <summary>Pinches an element open by some pixels per finger.</summary>
    public async Task Pinch(string selector, double apart)
    {
        var (x, y) = await Middle(selector);
        JsonArray Fingers(double d) =>
            new(
                new JsonObject
                {
                    ["x"] = x - d,
                    ["y"] = y,
                    ["id"] = 0,
                },
                new JsonObject
                {
                    ["x"] = x + d,
                    ["y"] = y,
                    ["id"] = 1,
                }
            );
        await Call("Input.dispatchTouchEvent", new JsonObject { ["type"] = "touchStart", ["touchPoints"] = Fingers(20) });
        await Call("Input.dispatchTouchEvent", new JsonObject { ["type"] = "touchMove", ["touchPoints"] = Fingers(20 + apart) });
        await Call("Input.dispatchTouchEvent", new JsonObject { ["type"] = "touchEnd", ["touchPoints"] = new JsonArray() });
    }

    /// <summary>Touches an element with one finger.</summary>
    public async Task Tap(string selector)
    {
        var (x, y) = await Middle(selector);
        await Call(
            "Input.dispatchTouchEvent",
            new JsonObject { ["type"] = "touchStart", ["touchPoints"] = new JsonArray(new JsonObject { ["x"] = x, ["y"] = y }) }
        );
        await Call("Input.dispatchTouchEvent", new JsonObject { ["type"] = "touchEnd", ["touchPoints"] = new JsonArray() });
    }

    /// <summary>Takes a screenshot.</summary>
    public async Task Screenshot(string path)
    {
        var reply = await Call("Page.captureScreenshot", new JsonObject { ["format"] = "png" });
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await File.WriteAllBytesAsync(path, Convert.FromBase64String(reply["data"]!.ToString()));
    }

    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
        for (var attempt = 0; attempt < 20 && Directory.Exists(_profile); attempt++)
        {
            try
            {
                Directory.Delete(_profile, recursive: true);
            }
            catch (IOException)
            {
                // A child of the browser is still writing.
                await Task.Delay(50);
            }
        }
    }

    private async Task<(double X, double Y)> Middle(string selector)
    {
        var box = JsonNode.Parse(
            await Evaluate(
                $"(() => {{ const b = document.querySelector({JsonSerializer.Serialize(selector)}).getBoundingClientRect(); "
                    + $"return JSON.stringify([b.x + b.width / 2, b.y + b.height / 2]); }})()"
            )
        )!;
        return ((double)box[0]!, (double)box[1]!);
    }

    private async Task Connect()
    {
        var file = Path.Combine(_profile, "DevToolsActivePort");
        for (var clock = Stopwatch.StartNew(); !(File.Exists(file) && File.ReadAllLines(file).Length >= 2); await Task.Delay(30))
        {
            if (clock.Elapsed > Patience || _process.HasExited)
                throw new InvalidOperationException("Chromium did not start.");
        }

        using var http = new HttpClient();
        var pages = JsonNode.Parse(await http.GetStringAsync($"http://127.0.0.1:{File.ReadAllLines(file)[0]}/json/list"))!.AsArray();
        await _socket.ConnectAsync(
            new(pages.First(static p => (string?)p!["type"] == "page")!["webSocketDebuggerUrl"]!.ToString()),
            CancellationToken.None
        );
        foreach (var domain in (string[])["Page", "Runtime", "Log", "Network"])
            await Call(domain + ".enable");
    }

    private async Task<JsonNode> Call(string method, JsonObject? arguments = null)
    {
        var id = ++_calls;
        using var patience = new CancellationTokenSource(Patience);
        var message = new JsonObject
        {
            ["id"] = id,
            ["method"] = method,
            ["params"] = arguments ?? [],
        };
        await _socket.SendAsync(Encoding.UTF8.GetBytes(message.ToJsonString()), WebSocketMessageType.Text, true, patience.Token);
        while (true)
        {
            var reply = await Receive(patience.Token);
            if ((int?)reply["id"] == id)
                return reply["error"] is null
                    ? reply["result"]!
                    : throw new InvalidOperationException($"{method}: {reply["error"]!.ToJsonString()}");
            Note(reply);
        }
    }

    private async Task<JsonNode> Receive(CancellationToken cancellation)
    {
        using var message = new MemoryStream();
        WebSocketReceiveResult part;
        do
        {
            part = await _socket.ReceiveAsync(_buffer, cancellation);
            message.Write(_buffer, 0, part.Count);
        } while (!part.EndOfMessage);
        return JsonNode.Parse(message.ToArray())!;
    }

    private void Note(JsonNode happened)
    {
        var details = happened["params"];
        switch ((string?)happened["method"])
        {
            case "Runtime.exceptionThrown":
                Complaints.Add(details!["exceptionDetails"]!.ToJsonString());
                break;
            case "Log.entryAdded" when (string?)details!["entry"]!["level"] == "error":
                Complaints.Add(details["entry"]!.ToJsonString());
                break;
            case "Network.requestWillBeSent":
                Requests.Add(details!["request"]!["url"]!.ToString());
                break;
        }
    }
}
