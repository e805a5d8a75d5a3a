using Retouch.Core.Formatting;

namespace Retouch.Core.Tests.Formatting;

/// <summary>Option values in messages.</summary>
public sealed class OptionValueTests
{
    private enum Sample
    {
        Uniform,
        MinSnr,
        InverseVariance,
    }

    [Fact]
    public void An_option_value_is_spelled_in_kebab_case() =>
        Assert.Equal(["uniform", "min-snr", "inverse-variance"], Enum.GetValues<Sample>().Select(static v => OptionValue.Of(v)));
}
