using Xunit.Sdk;

namespace Retouch.Tests;

/// <summary>
/// A test on files too large for the repository: the folder beside that of RETOUCH_SHARED_DATA which it names. Skipped where there is none.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
[TraitDiscoverer(NeedsDiscoverer.Name, "Retouch.Tests")]
public sealed class SharedFactAttribute : FactAttribute, ITraitAttribute
{
    public string Needs => "shared";

    /// <param name="folder">What it needs, for instance <c>models/taesd</c>.</param>
    public SharedFactAttribute(string folder)
    {
        if (!Directory.Exists(PathOf(folder)))
            Skip = $"RETOUCH_SHARED_DATA names no folder with {folder} beside it.";
    }

    /// <summary>The path of a file or folder there.</summary>
    public static string PathOf(params string[] parts) =>
        Environment.GetEnvironmentVariable("RETOUCH_SHARED_DATA") is { Length: > 0 } data
            ? Path.Combine([Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(data))!, .. parts])
            : "";
}
