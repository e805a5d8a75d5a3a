using Retouch.Core.Formatting;

namespace Retouch.Core.Tests.Formatting;

public sealed class ColumnTableTests
{
    [Fact]
    public void Columns_are_aligned_as_composite_formatting_aligns_them()
    {
        using var writer = new StringWriter();
        var table = new ColumnTable(writer, ("", -8), ("loss", 10), ("note", -6), ("last", 6));
        table.Row("arm", "0.25", "long note", "1");
        table.Row("other", "", "", "");
        string[] expected =
        [
            $"{"", -8}{"loss", 10}{"note", -6}{"last", 6}",
            $"{"arm", -8}{"0.25", 10}{"long note", -6}{"1", 6}",
            "other",
            "",
        ];
        Assert.Equal(string.Join(writer.NewLine, expected), writer.ToString());
        Assert.Throws<ArgumentException>(() => table.Row("one"));
    }
}
