using Retouch.Core.Errors;

namespace Retouch.Core.Tests.Errors;

public sealed class RequirementsTests
{
    private sealed record Inner
    {
        [Bounds(AtLeast = 0, Below = 1)]
        public double Decay { get; init; }
    }

    private sealed record Planted
    {
        [Bounds(AtLeast = 1)]
        public int BatchSize { get; init; } = 1;

        [Bounds(Above = 0)]
        public double? Rate { get; init; }

        [Bounds(AtLeast = 1, AtMost = 4096)]
        public IReadOnlyList<int> Sizes { get; init; } = [];

        [Bounds(Above = 0, Infinite = true)]
        public double Limit { get; init; } = 1;

        public int Free { get; init; } = -1;
    }

    [Fact]
    public void Members_within_their_bounds_are_valid()
    {
        Assert.Empty(Problems(new()));
        Assert.Empty(
            Problems(
                new()
                {
                    BatchSize = int.MaxValue,
                    Rate = double.Epsilon,
                    Sizes = [1, 4096],
                    Limit = double.PositiveInfinity,
                }
            )
        );
    }

    [Fact]
    public void Members_out_of_bounds_are_named_with_value_and_bounds()
    {
        var options = new Planted
        {
            BatchSize = 0,
            Rate = double.PositiveInfinity,
            Sizes = [1, 5000],
            Limit = double.NaN,
        };
        Assert.Equal(
            [
                "some.path.batchSize is 0; it must be at least 1",
                "some.path.rate is Infinity; it must be above 0",
                "some.path.sizes contains 5000; each must lie in [1, 4096]",
                "some.path.limit is NaN; it must be above 0",
            ],
            Problems(options)
        );
    }

    [Theory]
    [InlineData(-0.001, false)]
    [InlineData(0, true)]
    [InlineData(0.999, true)]
    [InlineData(1, false)]
    [InlineData(double.NaN, false)]
    public void Half_open_interval_contains_its_lower_end_only(double value, bool isValid) =>
        Assert.Equal(isValid, new BoundsAttribute { AtLeast = 0, Below = 1 }.Contains(value));

    [Fact]
    public void Names_are_those_of_the_user()
    {
        var file = Requirements.OfFile();
        file.Under("Averages[1]").Members(new Inner { Decay = 1 });
        file.That(false, "CheckEvery", "has no effect");
        Assert.Equal(["averages[1].decay is 1; it must lie in [0, 1)", "checkEvery has no effect"], file.Problems);
        var flags = Requirements.OfFlags(("Rate", "--learning-rate"));
        flags.Members(new Planted { BatchSize = -1, Rate = -2.5 });
        Assert.Equal(["--batch-size is -1; it must be at least 1", "--learning-rate is -2.5; it must be above 0"], flags.Problems);
    }

    [Fact]
    public void Error_lists_all_problems()
    {
        var check = Requirements.OfFlags();
        check.Throw("Invalid options");
        check.That(false, "one");
        Assert.Equal("Invalid options (1 problem):\n  one", Message("Invalid options"));
        Assert.Equal("one.", Message(null));
        check.That(true, "never");
        check.That(false, "two.");
        Assert.Equal("Invalid options (2 problems):\n  one\n  two.", Message("Invalid options"));
        Assert.Equal("one.\ntwo.", Message(null));

        string Message(string? heading) => Assert.Throws<UsageException>(() => check.Throw(heading)).Message;
    }

    private static IReadOnlyList<string> Problems(Planted options)
    {
        var check = Requirements.OfFile("some.path");
        check.Members(options);
        return check.Problems;
    }
}
