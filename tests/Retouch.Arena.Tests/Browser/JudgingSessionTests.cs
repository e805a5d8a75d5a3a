using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json;
using Retouch.Arena.Study;

namespace Retouch.Arena.Tests.Browser;

/// <summary>
/// Complete judging sessions in a real browser, with mouse, keyboard and touch. Screenshots are written next to the tests, into
/// arena-screenshots; check them after layout changes.
/// </summary>
public class JudgingSessionTests
{
    private const string Ready = "document.querySelector('#stage.ready') && !document.querySelector('#answers button').disabled";
    private static readonly string Shots = Path.Combine(AppContext.BaseDirectory, "arena-screenshots");

    private static Task<ArenaServer> Serve(TestStudy study, Func<ArenaOptions, ArenaOptions>? change = null) =>
        ArenaServer.StartAsync(
            (change ?? (static o => o))(study.Options with { Title = "Which pictures are better?", Ratings = 1, CheckEvery = 4 }),
            TimeProvider.System,
            static _ => { }
        );

    private static List<JsonElement> Votes(ArenaServer server, TestStudy study)
    {
        var path = Path.Combine(study.Folder, "votes.jsonl");
        StudyReports.WriteVotes(server.VotesFile, path, TimeProvider.System);
        return [.. File.ReadLines(path).Select(static l => JsonDocument.Parse(l).RootElement)];
    }

    private static async Task Join(Chromium browser, ArenaServer server, string name)
    {
        await browser.Open(server.RaterLink!);
        await browser.Until("document.getElementById('name') && !document.getElementById('join').hidden");
        await browser.Type(name);
        await browser.Press("Enter");
        await browser.Until(Ready);
    }

    [ChromiumFact]
    public async Task A_complete_session_with_the_keyboard_only()
    {
        using var study = new TestStudy(items: 3);
        await using var server = await Serve(study);
        await using var browser = await Chromium.Start();
        await browser.Screen(1280, 800);
        await browser.Open(server.RaterLink!);
        await browser.Until("document.getElementById('name') && !document.getElementById('join').hidden");
        await browser.Screenshot(Path.Combine(Shots, "join-desktop-light.png"));
        await Join(browser, server, "Ann");

        // Flaws: marks, an answer, and undo.
        Assert.Equal("true", await browser.Evaluate("String(document.getElementById('prompt').hidden)"));
        await browser.Press("3");
        await browser.Press("8");
        Assert.Equal(
            "major,none",
            await browser.Evaluate("[...document.querySelectorAll('.marks [aria-pressed=true]')].map(b => b.dataset.mark).join()")
        );
        await browser.Screenshot(Path.Combine(Shots, "flaws-desktop-light.png"));
        await browser.Press("ArrowRight");
        await browser.Until($"{Ready} && document.getElementById('count').textContent.startsWith('2 ')");
        await browser.Press("z");
        await browser.Until($"{Ready} && document.getElementById('count').textContent.startsWith('1 ')");
        Assert.Equal("right", await browser.Evaluate("document.querySelector('#answers .before').dataset.answer"));
        Assert.Equal(
            "major,none",
            await browser.Evaluate("[...document.querySelectorAll('.marks [aria-pressed=true]')].map(b => b.dataset.mark).join()")
        );
        await browser.Press("ArrowLeft");
        await browser.Until($"{Ready} && document.getElementById('count').textContent.startsWith('2 ')");

        var answers = 1;
        for (; await browser.Evaluate("String(document.getElementById('judge').hidden)") == "false"; answers++)
        {
            await browser.Press(await browser.Evaluate("document.getElementById('answers').children.length") == "3" ? "ArrowDown" : "y");
            await browser.Until(
                $"document.getElementById('judge').hidden || ({Ready} && "
                    + $"document.getElementById('count').textContent.startsWith('{answers + 2} '))"
            );
        }

        await browser.Screenshot(Path.Combine(Shots, "thanks-desktop-light.png"));
        var votes = Votes(server, study);
        // 3 items: 3 pairs for each of two questions, 6 single pictures, and attention checks.
        Assert.Equal(12, votes.Count(static v => v.GetProperty("check").ValueKind == JsonValueKind.Null));
        Assert.Equal(answers, votes.Count);
        Assert.Contains(votes, static v => v.GetProperty("check").ValueKind != JsonValueKind.Null);
        var first = votes.Single(static v => v.GetProperty("answer").GetString() == "left");
        Assert.Equal(("major", "none"), (first.GetProperty("left_flaws").GetString(), first.GetProperty("right_flaws").GetString()));
        Assert.All(
            votes.Where(static v => v.GetProperty("question").GetString() == "alignment"),
            static v => Assert.Equal("yes", v.GetProperty("answer").GetString())
        );

        // Only this server was contacted, and no address contains a model or a file name.
        Assert.All(browser.Requests, request => Assert.StartsWith(server.Address, request));
        Assert.All(browser.Requests, request => Assert.DoesNotContain("secret", request));
        Assert.True(browser.Complaints.Count == 0, string.Join('\n', browser.Complaints));
    }

    [ChromiumFact]
    public async Task Zoom_moves_both_pictures_together()
    {
        using var study = new TestStudy(items: 2);
        await using var server = await Serve(study);
        await using var browser = await Chromium.Start();
        await browser.Screen(1280, 800);
        await Join(browser, server, "Ann");
        async Task<string> Transform()
        {
            var both = JsonDocument
                .Parse(await browser.Evaluate("JSON.stringify([...document.querySelectorAll('.view img')].map(i => i.style.transform))"))
                .RootElement;
            Assert.Equal(both[0].GetString(), both[1].GetString());
            return both[0].GetString()!;
        }

        var whole = await Transform();
        Assert.Contains("scale(1)", whole);
        await browser.Wheel("#right .view", -400);
        await browser.Until("document.getElementById('zoom-level').value !== '100 %'");
        var wheeled = await Transform();
        await browser.Drag("#left .view", 60, 25);
        var dragged = await Transform();
        Assert.NotEqual(wheeled, dragged);
        await browser.Screenshot(Path.Combine(Shots, "zoomed-desktop-light.png"));
        await browser.Press("r");
        Assert.Equal(whole, await Transform());
        await browser.Press("+");
        Assert.Contains("scale(1.25)", await Transform());
        await browser.Press("ArrowLeft", modifiers: 8);
        Assert.DoesNotContain("translate(-80", await Transform());
        await browser.Press("ArrowLeft");
        await browser.Until($"{Ready} && document.getElementById('count').textContent.startsWith('2 ')");
        Assert.Equal(whole, await Transform());
        Assert.Single(Votes(server, study));
    }

    [ChromiumFact]
    public async Task A_study_can_be_judged_by_touch()
    {
        using var study = new TestStudy(items: 2);
        await using var server = await Serve(study);
        await using var browser = await Chromium.Start();
        await browser.Screen(390, 780, dark: true, phone: true);
        await Join(browser, server, "Ben");
        // Everything is visible without scrolling or overflow.
        Assert.Equal("390", await browser.Evaluate("document.documentElement.scrollWidth"));
        Assert.Equal(
            "true",
            await browser.Evaluate(
                "String([...document.querySelectorAll('#answers button, .view, #undo')].every(e => { const b = "
                    + "e.getBoundingClientRect(); return b.top >= 0 && b.bottom <= innerHeight && b.width > 0; }))"
            )
        );
        // Minimum size of touch targets.
        Assert.Equal(
            "true",
            await browser.Evaluate(
                "String([...document.querySelectorAll('#answers button')].every(e => e.getBoundingClientRect().height >= 44))"
            )
        );
        await browser.Screenshot(Path.Combine(Shots, "flaws-phone-dark.png"));
        await browser.Pinch("#left .view", 60);
        await browser.Until("parseInt(document.getElementById('zoom-level').value) > 150");
        await browser.Tap("#answers button:nth-child(3)");
        await browser.Until($"{Ready} && document.getElementById('count').textContent.startsWith('2 ')");
        Assert.Equal("right", Votes(server, study).Single().GetProperty("answer").GetString());
        Assert.True(browser.Complaints.Count == 0, string.Join('\n', browser.Complaints));
    }

    [ChromiumFact]
    public async Task An_answer_given_while_the_server_is_down_arrives_after_its_restart()
    {
        using var study = new TestStudy(items: 2);
        var server = await Serve(study);
        await using var browser = await Chromium.Start();
        await browser.Screen(1280, 800, dark: true);
        await Join(browser, server, "Ann");
        var port = new Uri(server.Address).Port;
        await server.DisposeAsync();
        await browser.Press("ArrowLeft");
        await browser.Until("document.getElementById('state').textContent.includes('kept')");
        await using var back = await Serve(study, o => o with { Port = port });
        await browser.Until($"{Ready} && document.getElementById('count').textContent.startsWith('2 ')");
        Assert.Equal("left", Votes(back, study).Single().GetProperty("answer").GetString());
        await browser.Screenshot(Path.Combine(Shots, "flaws-desktop-dark.png"));
    }

    [ChromiumFact]
    public async Task An_invitation_leaves_no_token_in_the_address_bar()
    {
        using var study = new TestStudy(items: 2);
        await using var server = await Serve(
            study,
            static o => o with { Token = "a-token-of-enough-characters", Questions = [Question.Alignment] }
        );
        await using var browser = await Chromium.Start();
        await browser.Screen(390, 780, phone: true);
        await Join(browser, server, "Ann");
        Assert.Equal(server.Address + "/", await browser.Evaluate("location.href"));
        Assert.Equal("", await browser.Evaluate("document.cookie"));
        Assert.StartsWith("“prompt number", await browser.Evaluate("document.getElementById('prompt').textContent"));
        await browser.Screenshot(Path.Combine(Shots, "alignment-phone-light.png"));
    }

    [ChromiumFact]
    public async Task The_owner_sees_results_and_excludes_a_rater()
    {
        using var study = new TestStudy(items: 6, "first", "second", "third");
        await using var server = await Serve(study, static o => o with { Ratings = 3 });
        foreach (var name in (string[])["Ann", "Ben", "Cem", "<b>Dora</b>"])
        {
            using var rater = new RaterClient(server.Address);
            await rater.Join(name);
            for (var more = true; more; )
                more = await rater.Vote(t =>
                    RaterClient.Ballot(
                        t,
                        !t.TryGetProperty("right", out _) ? "yes"
                            : name == "Ben" ? "left"
                            : ((string[])["left", "right", "tie"])[(int)(t.GetProperty("assignment").GetInt64() % 3)]
                    )
                );
        }

        await using var browser = await Chromium.Start();
        await browser.Screen(1280, 1500);
        await browser.Open(server.OwnerLink);
        await browser.Until("document.querySelectorAll('#raters tbody tr').length === 4");
        Assert.Equal(server.Address + "/results", await browser.Evaluate("location.href"));
        Assert.Equal("0", await browser.Evaluate("document.querySelectorAll('#raters b').length"));
        Assert.Contains("<b>Dora</b>", await browser.Evaluate("document.getElementById('raters').innerText"));
        await browser.Screenshot(Path.Combine(Shots, "results-desktop-light.png"));
        await browser.SaveTo(study.Folder);
        await browser.Evaluate("document.getElementById('asked').value = 'flaws'");
        await browser.Evaluate("document.getElementById('export').scrollIntoView()");
        await browser.Click("#export button");
        await browser.Until("document.getElementById('exported').textContent.includes(' pairs with ')");
        await browser.Screenshot(Path.Combine(Shots, "export-desktop-light.png"));
        var saved = Path.Combine(study.Folder, "preferences.zip");
        for (var clock = Stopwatch.StartNew(); !File.Exists(saved) && clock.Elapsed < TimeSpan.FromSeconds(45); )
            await Task.Delay(20);
        using (var archive = ZipFile.OpenRead(saved))
            Assert.Contains(archive.Entries, static e => e.FullName == "metadata.jsonl");
        var before = await browser.Evaluate("document.getElementById('summary').textContent");
        await browser.Evaluate("document.querySelector('#raters tbody tr:nth-child(2) button').scrollIntoView()");
        await browser.Click("#raters tbody tr:nth-child(2) button");
        await browser.Until($"document.getElementById('summary').textContent !== {JsonSerializer.Serialize(before)}");
        Assert.Contains("by 3 raters", await browser.Evaluate("document.getElementById('summary').textContent"));
        await browser.Screen(390, 780, dark: true, phone: true);
        await browser.Evaluate("scrollTo(0, 0)");
        await browser.Screenshot(Path.Combine(Shots, "results-phone-dark.png"));
        await browser.Evaluate("document.getElementById('people').scrollIntoView()");
        await browser.Screenshot(Path.Combine(Shots, "raters-phone-dark.png"));
        await browser.Evaluate("document.getElementById('export').scrollIntoView()");
        await browser.Screenshot(Path.Combine(Shots, "export-phone-dark.png"));
        Assert.Equal("390", await browser.Evaluate("document.documentElement.scrollWidth"));
        Assert.True(browser.Complaints.Count == 0, string.Join('\n', browser.Complaints));
    }
}
