using System.Diagnostics;
using System.Text.Json;

namespace Retouch.Arena.Tests.Commands;

/// <summary><c>retouch arena</c> from the command line.</summary>
public sealed class ArenaCommandTests : IDisposable
{
    private readonly TestStudy _study = new(items: 3);

    public void Dispose() => _study.Dispose();

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(false)]
    [InlineData(true)] // with the system's SQLite in the process
    public async Task A_study_is_served_judged_read_and_exported(bool withSystemLibvips)
    {
        if (withSystemLibvips && ArenaProcess.SystemLibvips is null)
            return;
        using var process = ArenaProcess.StartWith(
            withSystemLibvips ? ArenaProcess.SystemLibvips : null,
            "arena",
            _study.Folder,
            "--port",
            "0",
            "--raters",
            "Ann",
            "Ben",
            "--questions",
            "appeal",
            "--ratings",
            "2",
            "--check-every",
            "0",
            "--json"
        );
        try
        {
            var document = new System.Text.StringBuilder();
            while (await process.StandardOutput.ReadLineAsync() is { } line)
            {
                document.AppendLine(line);
                if (line == "}")
                    break;
            }

            var started = JsonDocument.Parse(document.ToString()).RootElement;
            Assert.False(started.TryGetProperty("raterLink", out _));
            foreach (var invitation in started.GetProperty("invitations").EnumerateArray())
            {
                var link = new Uri(invitation.GetProperty("link").GetString()!);
                using var rater = new RaterClient(link.GetLeftPart(UriPartial.Authority));
                Assert.Equal(
                    invitation.GetProperty("name").GetString(),
                    (await rater.Open(link.PathAndQuery)).GetProperty("rater").GetString()
                );
                var votes = 0;
                for (; await rater.Vote(static t => RaterClient.Ballot(t, "left")); votes++)
                    Assert.True(votes < 3);
                Assert.Equal(3, votes);
            }

            // The server is still running.
            var results = JsonDocument.Parse(Done("arena", "results", _study.Folder, "--json")).RootElement;
            Assert.Equal((6, 2), (results.GetProperty("votes").GetInt32(), results.GetProperty("ratingsNeeded").GetInt32()));
            Assert.Contains("secret-alpha against secret-beta", Done("arena", "results", _study.Folder));
            Assert.Equal(
                "6 votes written\n",
                Done("arena", "export", _study.Folder, "--jsonl", Path.Combine(_study.Folder, "votes.jsonl"))
            );
            using (var kill = Process.Start("kill", ["-INT", process.Id.ToString()]))
                await kill.WaitForExitAsync();
            await process.WaitForExitAsync(new CancellationTokenSource(TimeSpan.FromSeconds(30)).Token);
            Assert.Equal(130, process.ExitCode);
            Assert.EndsWith("interrupted\n", await process.StandardError.ReadToEndAsync());
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Invalid_options_are_rejected_with_a_remedy()
    {
        Refused(2, "--token", "arena", _study.Folder, "--bind", "0.0.0.0");
        Refused(2, "retouch arena FOLDER", "arena");
        Refused(2, "Unknown question", "arena", _study.Folder, "--questions", "beauty");
        Refused(3, "does not exist", "arena", Path.Combine(_study.Folder, "nowhere"));
        Refused(3, "does not exist", "arena", "results", _study.Folder);
        Refused(2, "--output", "arena", "export", _study.Folder);
        Refused(2, "--ties", "arena", "export", _study.Folder, "--jsonl", "x", "--ties");
    }

    private static void Refused(int code, string words, params string[] arguments)
    {
        var (exit, output, error) = ArenaProcess.Run(arguments);
        Assert.Equal(code, exit);
        Assert.Equal("", output);
        Assert.Contains(words, error, StringComparison.OrdinalIgnoreCase);
    }

    private static string Done(params string[] arguments)
    {
        var (exit, output, error) = ArenaProcess.Run(arguments);
        Assert.True(exit == 0, error);
        return output;
    }
}
