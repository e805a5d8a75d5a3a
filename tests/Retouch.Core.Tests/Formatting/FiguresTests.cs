using Retouch.Core.Formatting;

namespace Retouch.Core.Tests.Formatting;

public sealed class FiguresTests
{
    [Theory]
    [InlineData(0.34, "340 ms")]
    [InlineData(0.9996, "1.0 s")]
    [InlineData(4.24, "4.2 s")]
    [InlineData(59.97, "1 min 00 s")]
    [InlineData(200, "3 min 20 s")]
    [InlineData(3599.7, "1 h 00 min")]
    [InlineData(7500, "2 h 05 min")]
    [InlineData(86399, "1 d 0 h")]
    [InlineData(273600, "3 d 4 h")]
    [InlineData(-4.24, "-4.2 s")]
    public void Durations_never_round_up_to_a_full_unit(double seconds, string expected) =>
        Assert.Equal(expected, Figures.Duration(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData(512, "512 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(2048, "2.0 KiB")]
    [InlineData(1048575, "1.0 MiB")]
    [InlineData(2254857830, "2.1 GiB")]
    public void Bytes_are_binary(long bytes, string expected) => Assert.Equal(expected, Figures.Bytes(bytes));

    [Theory]
    [InlineData(0, 4, "0")]
    [InlineData(0.41234, 4, "0.4123")]
    [InlineData(0.4, 3, "0.400")]
    [InlineData(9.9996, 4, "10.00")]
    [InlineData(1234.5, 4, "1234")]
    [InlineData(123456, 3, "123456")]
    [InlineData(-0.00012345, 3, "-0.000123")]
    [InlineData(0.000015, 3, "1.50e-5")]
    [InlineData(12345678, 3, "1.23e7")]
    [InlineData(double.NaN, 3, "NaN")]
    [InlineData(double.NegativeInfinity, 3, "-∞")]
    public void Significant_keeps_the_requested_digits(double value, int digits, string expected) =>
        Assert.Equal(expected, Figures.Significant(value, digits));

    [Theory]
    [InlineData(-0.25, 3, "−0.250")]
    [InlineData(-0.000015, 3, "−1.50e−5")]
    [InlineData(12, 3, "12.0")]
    public void Typeset_numbers_have_a_minus_sign(double value, int digits, string expected) =>
        Assert.Equal(expected, Figures.Typeset(value, digits));

    [Theory]
    [InlineData(0.1234, "12 %")]
    [InlineData(0.0123, "1.2 %")]
    [InlineData(0.0997, "10 %")]
    [InlineData(0, "0 %")]
    [InlineData(double.NaN, "NaN %")]
    public void Percent_of_a_fraction(double fraction, string expected) => Assert.Equal(expected, Figures.Percent(fraction));

    [Fact]
    public void Count_separates_thousands() => Assert.Equal("12,500", Figures.Count(12500));
}
