using System.CommandLine;

namespace Retouch.Cli;

/// <summary>The options that every verb understands.</summary>
internal static class SharedOptions
{
    /// <summary>Results as JSON on stdout instead of text.</summary>
    public static Option<bool> Json { get; } = new("--json") { Description = "Print the result as JSON.", Recursive = true };

    /// <summary>Stack traces with errors.</summary>
    public static Option<bool> Verbose { get; } = new("--verbose") { Description = "Show where an error comes from.", Recursive = true };
}
