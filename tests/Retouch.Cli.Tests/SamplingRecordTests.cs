using Retouch.Core.Errors;
using Retouch.Experiments.Sampling;

namespace Retouch.Cli.Tests;

public sealed class SamplingRecordTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-record-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Record_has_the_bytes_of_earlier_versions_and_is_read_back()
    {
        var record = new SamplingRecord("/models/a+b", "0a1b", null, 0, 0.75);
        record.Write(_folder);
        var path = Path.Combine(_folder, SamplingRecord.FileName);
        Assert.Equal(
            """
            {
              "model": "/models/a\u002Bb",
              "model_files": "0a1b",
              "negative": null,
              "guide_from": 0,
              "guide_to": 0.75
            }

            """,
            File.ReadAllText(path)
        );
        record.CheckAgainst(_folder);
        Assert.Throws<UsageException>(() => (record with { GuideTo = 1 }).CheckAgainst(_folder));
        File.WriteAllText(path, """{ "model": 5 }""");
        Assert.EndsWith("--output.", Assert.Throws<InputException>(() => record.CheckAgainst(_folder)).Message);
    }
}
