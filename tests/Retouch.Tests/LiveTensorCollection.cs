namespace Retouch.Tests;

/// <summary>Tests that count the process's live tensors; they run alone, after all others.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class LiveTensorCollection
{
    public const string Name = "live tensors";
}
