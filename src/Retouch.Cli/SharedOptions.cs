using System.CommandLine;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Cli;

/// <summary>The options that every verb understands, and those that mean the same wherever they are.</summary>
internal static class SharedOptions
{
    /// <summary>Results as JSON on stdout instead of text.</summary>
    public static Option<bool> Json { get; } = new("--json") { Description = "Print the result as JSON.", Recursive = true };

    /// <summary>Stack traces with errors.</summary>
    public static Option<bool> Verbose { get; } = new("--verbose") { Description = "Show where an error comes from.", Recursive = true };

    /// <summary>Where to compute; of every verb that does.</summary>
    public static Option<string?> Device { get; } = new("--device") { Description = "Where to compute: cpu (default), cuda or cuda:N." };

    /// <summary>The device that <see cref="Device"/> names.</summary>
    /// <exception cref="UsageException">It names none.</exception>
    /// <exception cref="EnvironmentException">The device is not there.</exception>
    public static Device GetDevice(this ParseResult parsed) => Torch.Device.Parse(parsed.GetValue(Device) ?? "cpu").Require();
}
