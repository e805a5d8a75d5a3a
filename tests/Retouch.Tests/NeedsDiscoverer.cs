using Xunit.Abstractions;
using Xunit.Sdk;

namespace Retouch.Tests;

/// <summary>
/// Gives a test the trait <c>needs</c> from its attribute's property of that name: the requirement without which it is skipped.
/// <c>./test --fast</c> omits those tests.
/// </summary>
public sealed class NeedsDiscoverer : ITraitDiscoverer
{
    public const string Name = "Retouch.Tests." + nameof(NeedsDiscoverer);

    public IEnumerable<KeyValuePair<string, string>> GetTraits(IAttributeInfo traitAttribute) =>
        [new("needs", traitAttribute.GetNamedArgument<string>("Needs"))];
}
