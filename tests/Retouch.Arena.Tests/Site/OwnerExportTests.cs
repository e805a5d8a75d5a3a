using System.IO.Compression;
using System.Net;
using System.Text.Json;
using Retouch.Arena.Results;
using Retouch.Arena.Study;

namespace Retouch.Arena.Tests.Site;

/// <summary>Download of the preference data set from the results page.</summary>
public sealed class OwnerExportTests : IAsyncLifetime, IDisposable
{
    private readonly TestStudy _study = new(items: 6, "first", "second", "third");
    private ArenaServer _server = null!;
    private RaterClient _owner = null!;

    public async Task InitializeAsync()
    {
        _server = await ArenaServer.StartAsync(
            _study.Options with
            {
                CheckEvery = 0,
                Ratings = 1,
                Questions = [Question.Appeal, Question.Flaws],
            },
            TimeProvider.System,
            static _ => { }
        );
        _owner = new RaterClient(_server.Address);
        await _owner.Open(new Uri(_server.OwnerLink).PathAndQuery, "/api/owner/session");
    }

    public async Task DisposeAsync() => await _server.DisposeAsync();

    public void Dispose()
    {
        _owner.Dispose();
        _study.Dispose();
    }

    private async Task Judge()
    {
        using var rater = new RaterClient(_server.Address);
        await rater.Join("Ann");
        for (var more = true; more; )
            more = await rater.Vote(t =>
                RaterClient.Ballot(t, ((string[])["left", "right", "tie"])[(int)(t.GetProperty("assignment").GetInt64() % 3)])
            );
    }

    private async Task<string> Refused(string query, HttpStatusCode status)
    {
        foreach (var path in (string[])["/api/owner/preferences", "/results/preferences.zip"])
        {
            using var reply = await _owner.Get(path + query);
            Assert.Equal(status, reply.StatusCode);
        }

        using var again = await _owner.Get("/results/preferences.zip" + query);
        return JsonDocument.Parse(await again.Content.ReadAsStringAsync()).RootElement.GetProperty("error").GetString()!;
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("appeal", false)]
    [InlineData("flaws", true)]
    public async Task The_archive_equals_the_output_of_the_command(string question, bool ties)
    {
        await Judge();
        var query = $"?question={question}&ratings=1&ties={(ties ? 1 : 0)}";
        var told = await RaterClient.Json(await _owner.Get("/api/owner/preferences" + query));
        var output = Path.Combine(_study.Folder, "set");
        var written = StudyReports.WritePreferences(
            _server.VotesFile,
            _study.Folder,
            output,
            new PreferenceOptions
            {
                Question = Questions.Parse(question),
                Ratings = 1,
                Ties = ties,
            },
            TimeProvider.System
        );
        Assert.True(written.Pairs > 0);
        Assert.Equal(
            (written.Preferences, written.Pairs, written.Ties),
            (told.GetProperty("preferences").GetInt32(), told.GetProperty("pairs").GetInt32(), told.GetProperty("ties").GetInt32())
        );
        var bytes = await (await _owner.Get("/results/preferences.zip" + query)).Content.ReadAsByteArrayAsync();
        Assert.Equal(bytes, await (await _owner.Get("/results/preferences.zip" + query)).Content.ReadAsByteArrayAsync());
        using var archive = new ZipArchive(new MemoryStream(bytes));
        var expected = Directory
            .GetFiles(output, "*", SearchOption.AllDirectories)
            .ToDictionary(f => Path.GetRelativePath(output, f).Replace('\\', '/'), File.ReadAllBytes);
        Assert.Equal(ties, expected.ContainsKey("ties.jsonl"));
        Assert.Equal(
            expected.Keys.Order(StringComparer.Ordinal),
            archive.Entries.Select(static e => e.FullName).Order(StringComparer.Ordinal)
        );
        foreach (var entry in archive.Entries)
        {
            using var content = new MemoryStream();
            using (var stream = entry.Open())
                stream.CopyTo(content);
            Assert.Equal(expected[entry.FullName], content.ToArray());
        }
    }

    [Fact]
    public async Task Export_errors_are_reported_before_the_download()
    {
        Assert.Contains("has a winner yet", await Refused("?question=appeal", HttpStatusCode.Conflict));
        await Judge();
        Assert.Contains("question must be", await Refused("?question=alignment", HttpStatusCode.BadRequest));
        Assert.Contains("question must be", await Refused("", HttpStatusCode.BadRequest));
        Assert.Contains("ratings must", await Refused("?question=appeal&ratings=0", HttpStatusCode.BadRequest));
        Assert.Contains("lack ratings", await Refused("?question=appeal&ratings=2", HttpStatusCode.Conflict));
        foreach (var model in _study.Models)
        {
            for (var k = 0; k < 6; k++)
                _study.Add(model, $"{k:D3}.png", TestStudy.Paint(5, k));
        }

        Assert.Contains("has changed since it was judged", await Refused("?question=appeal", HttpStatusCode.Conflict));
    }
}
