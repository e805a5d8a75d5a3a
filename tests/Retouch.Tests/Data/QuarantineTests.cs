using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Data;

namespace Retouch.Tests.Data;

public sealed class QuarantineTests
{
    [Fact]
    public void Entries_are_ordered_and_saved_one_per_line()
    {
        using var folder = new TemporaryFolder();
        var quarantine = new Quarantine(100, 0.02);
        quarantine.Add(new QuarantinedPicture(7, "é \"x\".png", "it is cut"));
        quarantine.Add(new QuarantinedPicture(3, "a.png", "it is empty"));
        quarantine.Add(new QuarantinedPicture(7, "é \"x\".png", "it is cut"));
        var path = Path.Combine(folder.Path, "quarantine.jsonl");
        quarantine.Save(path);
        var lines = File.ReadAllLines(path).Select(line => JsonDocument.Parse(line).RootElement).ToArray();
        Assert.Equal(["a.png", "é \"x\".png"], lines.Select(l => l.GetProperty("file").GetString()));
        Assert.Equal(["it is empty", "it is cut"], lines.Select(l => l.GetProperty("reason").GetString()));
        Assert.Contains("é", File.ReadAllText(path), StringComparison.Ordinal);
    }

    [Fact]
    public void Too_many_entries_stop_the_run()
    {
        var quarantine = new Quarantine(40, 0.05);
        quarantine.Add(new QuarantinedPicture(0, "0.png", "'0.png' is cut."));
        quarantine.Add(new QuarantinedPicture(1, "1.png", "'1.png' is cut."));
        var message = Assert.Throws<InputException>(() => quarantine.Add(new QuarantinedPicture(2, "2.png", "'2.png' is cut."))).Message;
        Assert.Contains("3 of 40", message, StringComparison.Ordinal);
        Assert.Contains("5 %", message, StringComparison.Ordinal);
        Assert.Contains("'0.png' is cut. The same applies to 2 others: '1.png', '2.png'.", message, StringComparison.Ordinal);
        Assert.Contains("data.maxBadShare", message, StringComparison.Ordinal);
        Assert.Throws<UsageException>(() => new Quarantine(40, 1.5));
    }
}
