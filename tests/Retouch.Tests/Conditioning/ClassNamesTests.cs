using Retouch.Conditioning;
using Retouch.Core.Errors;

namespace Retouch.Tests.Conditioning;

/// <summary>Classes chosen by name or number.</summary>
public sealed class ClassNamesTests
{
    private static readonly ClassNames Names = new(
        new Dictionary<int, string>
        {
            [0] = "tench, Tinca tinca",
            [1] = "goldfish, Carassius auratus",
            [2] = "Great Dane",
            [3] = "7",
            [4] = "crane",
            [5] = "crane, machine",
        }
    );

    [Theory]
    [InlineData("Tinca tinca", 0)]
    [InlineData("GOLDFISH", 1)]
    [InlineData("great_dane", 2)]
    [InlineData("7", 3)] // a name takes precedence over a number
    [InlineData("8", 8)]
    [InlineData("crane", 4)]
    [InlineData("machine", 5)]
    public void Names_and_numbers_are_found(string given, int expected) => Assert.Equal([expected], Names.Choose([given], 10, "--class"));

    [Theory]
    [InlineData("10", "--class: class 10 does not exist; the model has classes 0 to 9.")]
    [InlineData("-1", "--class: class -1 does not exist")]
    [InlineData("tensh", "did you mean 'tench'?")]
    [InlineData("crene", "did you mean 'crane'?")]
    [InlineData("bicycle", "Its classes are tench, Tinca tinca; goldfish, Carassius auratus; Great Dane; 7; crane; crane, machine.")]
    public void Others_are_rejected(string given, string message) =>
        Assert.Contains(
            message,
            Assert.Throws<UsageException>(() => Names.Choose([given], 10, "--class")).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void A_long_list_is_cut()
    {
        var many = new ClassNames(Enumerable.Range(0, 30).ToDictionary(static k => k, static k => $"thing number {k}"));
        var message = Assert.Throws<UsageException>(() => many.Choose(["x"], 30, "--class")).Message;
        Assert.EndsWith("thing number 19, … and 10 more.", message, StringComparison.Ordinal);
    }
}
