using Retouch.Data;

namespace Retouch.Tests.Data;

/// <summary>Messages on many pictures.</summary>
public sealed class PictureFaultsTests
{
    [Fact]
    public void Equal_problems_are_stated_once_and_the_most_frequent_first()
    {
        (string, string)[] faults =
        [
            ("b/one.png", "Cannot read '/data/b/one.png': it is cut."),
            .. Enumerable
                .Range(0, 300)
                .Select(static k => ($"a/{k}.png", $"The picture 'a/{k}.png' has {k} x 7 pixels, less than 'x 64'.")),
            ("b/two.png", "Cannot read '/data/b/two.png': it is cut."),
        ];
        Assert.Equal(
            [
                "The picture 'a/0.png' has 0 x 7 pixels, less than 'x 64'. The same applies to 299 others: 'a/1.png', 'a/2.png', "
                    + "'a/3.png', … and 296 more.",
                "Cannot read '/data/b/one.png': it is cut. The same applies to 1 other: 'b/two.png'.",
            ],
            PictureFaults.Lines(faults)
        );
    }

    [Fact]
    public void Different_problems_stay_separate_up_to_a_number()
    {
        string[] words = ["one", "two", "three", "four", "five", "six", "seven"];
        var lines = PictureFaults.Lines([.. words.Select(static w => ("x.png", $"'x.png' is {w}."))]).ToArray();
        Assert.Equal(6, lines.Length);
        Assert.Equal("'x.png' is one.", lines[0]);
        Assert.Equal("… and 2 more", lines[^1]);
    }
}
