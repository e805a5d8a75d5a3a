using Xunit.Abstractions;
using Xunit.Sdk;

namespace Retouch.Tests;

/// <summary>
/// Gives a test the trait <c>needs</c> of its attribute's property of that name: what the test is skipped without. <c>./test --fast</c>
/// leaves those tests out.
/// </summary>
public sealed class NeedsDiscoverer : ITraitDiscoverer
{
    public const string Name = "Retouch.Tests." + nameof(NeedsDiscoverer);

    public IEnumerable<KeyValuePair<string, string>> GetTraits(IAttributeInfo traitAttribute) =>
        [new("needs", traitAttribute.GetNamedArgument<string>("Needs"))];
}
