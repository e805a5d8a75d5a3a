using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json;

namespace Retouch.Arena.Tests.Votes;

/// <summary>Twenty concurrent raters while the server's process is killed: each confirmed vote is stored exactly once.</summary>
public class KillTests
{
    private const int Raters = 20;
    private const int VotesEach = 12;
    private const int Kills = 2;

    [Fact]
    [Trait("speed", "slow")]
    public async Task Votes_survive_a_killed_server_without_loss_or_duplicates()
    {
        using var study = new TestStudy(items: 10);
        var port = FreePort();
        var process = Start(study, port);
        try
        {
            await Ready(process);
            var address = $"http://127.0.0.1:{port}";
            var answered = new ConcurrentDictionary<(string Rater, long Assignment), (string Answer, string Reply)>();
            var raters = Enumerable.Range(0, Raters).Select(r => Judge(address, $"rater {r}", answered)).ToList();
            for (var kill = 1; kill <= Kills; kill++)
            {
                while (answered.Count < kill * Raters * VotesEach / (Kills + 1))
                    await Task.Delay(5);
                process.Kill(); // SIGKILL, at a random moment
                await process.WaitForExitAsync();
                process.Dispose();
                process = Start(study, port);
                await Ready(process);
            }

            await Task.WhenAll(raters);
            Assert.Equal(Raters * VotesEach, answered.Count);
            var lines = Path.Combine(study.Folder, "votes.jsonl");
            StudyReports.WriteVotes(Path.Combine(study.Folder, "arena.sqlite"), lines, TimeProvider.System);
            var kept = File.ReadLines(lines).Select(static l => JsonDocument.Parse(l).RootElement).ToList();
            Assert.Equal(Raters * VotesEach, kept.Count);
            // The stored votes of each rater equal the confirmed ones.
            static string Tally(IEnumerable<(string Rater, string Answer)> votes) =>
                string.Join('\n', votes.CountBy(static v => v).Select(static v => $"{v.Key} {v.Value}").Order(StringComparer.Ordinal));
            Assert.Equal(
                Tally(answered.Select(static a => (a.Key.Rater, a.Value.Answer))),
                Tally(kept.Select(static v => (v.GetProperty("rater").GetString()!, v.GetProperty("answer").GetString()!)))
            );
        }
        finally
        {
            process.Kill();
            process.Dispose();
        }
    }

    /// <summary>Judges like the page: repeats a submission with the same key until it is answered.</summary>
    private static async Task Judge(string address, string name, ConcurrentDictionary<(string, long), (string, string)> answered)
    {
        using var rater = new RaterClient(address);
        await Retrying(async () =>
        {
            await rater.Open();
            return true;
        });
        // The next join reveals whether an unanswered one took place: the session knows its rater.
        using (var joined = await Retrying(() => rater.Post("/api/join", new { name })))
            Assert.True(joined.IsSuccessStatusCode, await joined.Content.ReadAsStringAsync());
        for (var k = 0; k < VotesEach; k++)
        {
            var task = await Retrying(rater.Task);
            var answer = task.TryGetProperty("right", out _) ? ((string[])["left", "right", "tie"])[(name.Length + k) % 3] : "yes";
            var ballot = RaterClient.Ballot(task, answer);
            var reply = await Retrying(() => Send(rater, ballot));
            // Occasionally a reply is lost, and the browser repeats the request.
            if (k % 4 == 0)
                Assert.Equal(reply, await Retrying(() => Send(rater, ballot)));
            Assert.True(
                answered.TryAdd((name, task.GetProperty("assignment").GetInt64()), (answer, reply)),
                "the same task was given twice"
            );
        }
    }

    private static async Task<string> Send(RaterClient rater, object ballot)
    {
        using var reply = await rater.Post("/api/vote", ballot);
        var content = await reply.Content.ReadAsStringAsync();
        Assert.True(reply.IsSuccessStatusCode, content);
        return content;
    }

    private static async Task<T> Retrying<T>(Func<Task<T>> call)
    {
        for (var clock = Stopwatch.StartNew(); ; )
        {
            try
            {
                return await call();
            }
            catch (Exception e) when (e is HttpRequestException or IOException && clock.Elapsed < TimeSpan.FromSeconds(60))
            {
                await Task.Delay(50);
            }
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static Process Start(TestStudy study, int port) =>
        ArenaProcess.Start("arena", study.Folder, "--port", port.ToString(), "--ratings", "1000", "--check-every", "4");

    private static async Task Ready(Process process)
    {
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.StartsWith("Votes:", StringComparison.Ordinal))
                return;
        }

        Assert.Fail("the server did not start: " + await process.StandardError.ReadToEndAsync());
    }
}
