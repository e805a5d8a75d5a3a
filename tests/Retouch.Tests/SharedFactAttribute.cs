using Xunit.Sdk;

namespace Retouch.Tests;

/// <summary>
/// Test on files too large for the repository, in a folder next to RETOUCH_SHARED_DATA. Skipped without it.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
[TraitDiscoverer(NeedsDiscoverer.Name, "Retouch.Tests")]
public sealed class SharedFactAttribute : FactAttribute, ITraitAttribute
{
    public string Needs => "shared";

    /// <param name="folder">Required folder, such as <c>models/taesd</c>.</param>
    public SharedFactAttribute(string folder)
    {
        if (!Directory.Exists(PathOf(folder)))
            Skip = $"RETOUCH_SHARED_DATA names no folder with {folder} beside it.";
    }

    /// <summary>Path of a file or folder there.</summary>
    public static string PathOf(params string[] parts) =>
        Environment.GetEnvironmentVariable("RETOUCH_SHARED_DATA") is { Length: > 0 } data
            ? Path.Combine([Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(data))!, .. parts])
            : "";
}
