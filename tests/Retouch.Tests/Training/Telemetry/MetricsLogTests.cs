using Retouch.Core.Errors;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training.Telemetry;

public sealed class MetricsLogTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ManualTime _time = new();

    private string FilePath => _folder["metrics.jsonl"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Append_flushes_one_json_object_per_line()
    {
        using var log = MetricsLog.Create(FilePath, _time);
        log.Append(1, [new("loss/latent", 0.5), new("grad \"norm\"", -2e-9)]);
        _time.Advance(1.5);
        log.Append(2, []);

        Assert.Equal(
            "{\"step\":1,\"time\":1767323045.25,\"loss/latent\":0.5,\"grad \\\"norm\\\"\":-2E-09}\n{\"step\":2,\"time\":1767323046.75}\n",
            ReadText()
        );
    }

    [Fact]
    public void Non_finite_numbers_are_strings_and_survive_a_round_trip()
    {
        using (var log = MetricsLog.Create(FilePath, _time))
            log.Append(1, [new("a", double.NaN), new("b", double.PositiveInfinity), new("c", double.NegativeInfinity), new("d", 0.1)]);

        Assert.Contains("\"a\":\"NaN\",\"b\":\"Infinity\",\"c\":\"-Infinity\",\"d\":0.1", ReadText(), StringComparison.Ordinal);
        var record = Assert.Single(MetricsReader.Read(FilePath));
        Assert.Equal([double.NaN, double.PositiveInfinity, double.NegativeInfinity, 0.1], record.Values.Select(pair => pair.Value));
        Assert.Equal(1767323045.25, record.Time);
        Assert.Null(record.Find("e"));
    }

    [Fact]
    public void Resume_removes_later_records_and_a_torn_line()
    {
        using (var log = MetricsLog.Create(FilePath, _time))
        {
            for (var step = 1; step <= 5; step++)
                log.Append(step, [new("loss", step)]);
        }

        File.AppendAllText(FilePath, "{\"step\":6,\"ti");
        using (var log = MetricsLog.Resume(FilePath, 3, _time))
            log.Append(4, [new("loss", 40)]);

        var records = MetricsReader.Read(FilePath);
        Assert.Equal([1L, 2, 3, 4], records.Select(record => record.Step));
        Assert.Equal([1.0, 2, 3, 40], MetricsSeries.Of(records, "loss").Values);
    }

    [Fact]
    public void Resume_with_all_records_removes_only_the_torn_line()
    {
        File.WriteAllText(FilePath, "{\"step\":1,\"time\":1}\n{\"step\":2,\"time\":");
        using (var log = MetricsLog.Resume(FilePath, 9, _time)) { }

        Assert.Equal("{\"step\":1,\"time\":1}\n", ReadText());
    }

    [Fact]
    public void Resume_without_a_file_creates_one()
    {
        using (var log = MetricsLog.Resume(FilePath, 3, _time))
            log.Append(4, [new("loss", 1)]);
        Assert.Equal(4, Assert.Single(MetricsReader.Read(FilePath)).Step);
    }

    [Fact]
    public void Create_never_overwrites_a_run()
    {
        File.WriteAllText(FilePath, "history");
        Assert.Throws<EnvironmentException>(() => MetricsLog.Create(FilePath, _time));
        Assert.Equal("history", File.ReadAllText(FilePath));
    }

    [Theory]
    [InlineData("step")]
    [InlineData("time")]
    [InlineData("")]
    public void Append_rejects_reserved_names(string name)
    {
        using var log = MetricsLog.Create(FilePath, _time);
        Assert.Throws<ArgumentException>(() => log.Append(1, [new(name, 1)]));
        Assert.Throws<ArgumentException>(() => log.Append(1, [new("a", 1), new("a", 2)]));
        Assert.Empty(ReadText());
    }

    [Fact]
    public void Append_rejects_an_earlier_step()
    {
        using var log = MetricsLog.Create(FilePath, _time);
        log.Append(5, []);
        log.Append(5, []);
        Assert.Throws<ArgumentException>(() => log.Append(4, []));
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("[1,2]")]
    [InlineData("{\"time\":1}")]
    [InlineData("{\"step\":1}")]
    [InlineData("{\"step\":1.5,\"time\":1}")]
    [InlineData("{\"step\":1,\"time\":1,\"loss\":\"low\"}")]
    [InlineData("{\"step\":1,\"time\":1,\"loss\":null}")]
    public void Read_reports_file_and_line_of_invalid_records(string line)
    {
        File.WriteAllText(FilePath, "{\"step\":0,\"time\":1}\n" + line + "\n{\"step\":3,\"time\":1}\n");
        var error = Assert.Throws<InputException>(() => MetricsReader.Read(FilePath));
        Assert.Contains(FilePath, error.Message, StringComparison.Ordinal);
        Assert.Contains("line 2", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Reading_a_missing_file_is_an_input_error() =>
        Assert.Throws<InputException>(() => MetricsReader.Read(_folder["none.jsonl"]));

    private string ReadText()
    {
        using var stream = new FileStream(FilePath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return new StreamReader(stream).ReadToEnd();
    }
}
