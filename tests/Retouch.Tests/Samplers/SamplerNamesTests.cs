using Retouch.Core.Errors;
using Retouch.Samplers;

namespace Retouch.Tests.Samplers;

/// <summary>Samplers by name.</summary>
public sealed class SamplerNamesTests
{
    [Fact]
    public void Every_sampler_has_a_name_that_is_read_back()
    {
        var kinds = SamplerNames
            .All.Select(static n => SamplerNames.Parse(n))
            .Where(static n => !n.CompatibleSteps)
            .Select(static n => n.Kind)
            .ToArray();
        Assert.Equal(Enum.GetValues<SamplerKind>().Order(), kinds.Order());
        foreach (
            var name in (string[])
                [.. SamplerNames.All, "euler-karras", "euler-a-karras", "dpmpp-2m-karras", "unipc-karras", "heun-karras", "lms-karras"]
        )
        {
            var (kind, sigmas, compatible) = SamplerNames.Parse(name);
            Assert.Equal(
                name,
                SamplerNames.Of(
                    new()
                    {
                        Kind = kind,
                        Sigmas = sigmas,
                        CompatibleSteps = compatible,
                    }
                )
            );
        }
    }

    [Theory]
    [InlineData("dpm")]
    [InlineData("ddim-karras")]
    [InlineData("-karras")]
    [InlineData("")]
    public void What_is_no_sampler_is_answered_with_the_names(string name) =>
        Assert.Contains("unipc", Assert.Throws<UsageException>(() => SamplerNames.Parse(name)).Message, StringComparison.Ordinal);
}
