using Retouch.Core.Formatting;

namespace Retouch.Core.Tests.Formatting;

/// <summary>Order of names and length of quotations.</summary>
public sealed class TextsTests
{
    [Fact]
    public void Names_have_natural_order()
    {
        string[] names =
        [
            "class10",
            "class2",
            "b",
            "B",
            "10",
            "9",
            "007",
            "7",
            "a1b20",
            "a1b3",
            "",
            "99999999999999999999",
            "100000000000000000000",
        ];
        Assert.Equal(
            ["", "007", "7", "9", "10", "99999999999999999999", "100000000000000000000", "B", "a1b3", "a1b20", "b", "class2", "class10"],
            names.Order(NaturalOrder.Comparer)
        );
        foreach (var x in names)
        {
            foreach (var y in names)
                Assert.Equal(Math.Sign(NaturalOrder.Comparer.Compare(x, y)), -Math.Sign(NaturalOrder.Comparer.Compare(y, x)));
        }
    }

    [Fact]
    public void Long_texts_are_truncated_to_one_line()
    {
        Assert.Equal("short", Excerpt.Of("short"));
        Assert.Equal("two lines", Excerpt.Of("two\nlines"));
        Assert.Equal(Excerpt.DefaultLength + 1, Excerpt.Of(new string('x', 5_000_000)).Length);
        Assert.Equal("ab…", Excerpt.Of("ab🦊c", 3));
    }
}
