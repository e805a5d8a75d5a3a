namespace Retouch.Arena.Tests.Browser;

/// <summary>Assembly of the linked browser tests, where the discoverer of their trait is.</summary>
internal static class TestAssembly
{
    public const string Name = "Retouch.Cli.Tests";
}
