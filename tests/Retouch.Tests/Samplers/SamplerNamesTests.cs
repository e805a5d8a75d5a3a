using Retouch.Core.Errors;
using Retouch.Samplers;

namespace Retouch.Tests.Samplers;

/// <summary>Samplers by name.</summary>
public sealed class SamplerNamesTests
{
    [Fact]
    public void Sampler_names_survive_a_round_trip()
    {
        Assert.Equal(["ddim", "ddim-compatible", "ddpm", "dpmpp-2m", "euler", "euler-a", "heun", "lms", "pndm", "unipc"], SamplerNames.All);
        foreach (
            var name in (string[])
                [.. SamplerNames.All, "euler-karras", "euler-a-karras", "dpmpp-2m-karras", "unipc-karras", "heun-karras", "lms-karras"]
        )
        {
            var (solver, sigmas) = SamplerNames.Parse(name);
            Assert.Equal(name, SamplerNames.Of(new() { Solver = solver, Sigmas = sigmas }));
        }
    }

    [Theory]
    [InlineData("dpm")]
    [InlineData("ddim-karras")]
    [InlineData("-karras")]
    [InlineData("")]
    public void An_unknown_sampler_is_rejected_with_the_names(string name) =>
        Assert.Contains("unipc", Assert.Throws<UsageException>(() => SamplerNames.Parse(name)).Message, StringComparison.Ordinal);
}
