using System.CommandLine;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Cli;

/// <summary>Options of every verb, and options with the same meaning in several verbs.</summary>
internal static class SharedOptions
{
    /// <summary>Results as JSON on stdout instead of text.</summary>
    public static Option<bool> Json { get; } = new("--json") { Description = "Print the result as JSON.", Recursive = true };

    /// <summary>Stack traces with errors.</summary>
    public static Option<bool> Verbose { get; } = new("--verbose") { Description = "Print stack traces of errors.", Recursive = true };

    /// <summary>Compute device, for every verb that computes.</summary>
    public static Option<string?> Device { get; } =
        new("--device")
        {
            Description = "Compute device: cpu, cuda, cuda:N, or auto (default): the first GPU that libtorch can use, else the CPU.",
        };

    /// <summary>Device given by <see cref="Device"/>.</summary>
    /// <exception cref="UsageException">The name is invalid.</exception>
    /// <exception cref="EnvironmentException">The device is not available.</exception>
    public static Device GetDevice(this ParseResult parsed) => Torch.Device.Parse(parsed.GetValue(Device) ?? Torch.Device.Auto).Require();
}
