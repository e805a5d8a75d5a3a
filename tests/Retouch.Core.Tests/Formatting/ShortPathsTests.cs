using Retouch.Core.Formatting;

namespace Retouch.Core.Tests.Formatting;

/// <summary>Short names of folders.</summary>
public sealed class ShortPathsTests
{
    public static TheoryData<string[], string[]> Cases() =>
        new()
        {
            { ["/runs/a", "/runs/b/"], ["a", "b"] },
            { ["/runs/a/model", "/runs/b/model", "other"], ["a/model", "b/model", "other"] },
            {
                ["arms/lpl/seed-1/run", "arms/latent/seed-1/run", "arms/lpl/seed-2/run"],
                ["lpl/seed-1/run", "latent/seed-1/run", "seed-2/run"]
            },
            { ["model", "runs/model"], ["model", "runs/model"] },
            { ["x", "x"], ["1. x", "2. x"] },
            { ["/"], ["/"] },
        };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Names_are_as_short_as_they_can_be_and_unique(string[] paths, string[] names) => Assert.Equal(names, ShortPaths.Of(paths));
}
