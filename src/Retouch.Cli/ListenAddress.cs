using System.CommandLine;
using System.Net;
using Retouch.Core.Errors;

namespace Retouch.Cli;

/// <summary>The address that a server of the command line listens on.</summary>
internal static class ListenAddress
{
    /// <summary>Declares the option; the default is the loopback address.</summary>
    public static Option<string> Option(string name, string description) =>
        new(name) { Description = description, DefaultValueFactory = static _ => "127.0.0.1" };

    /// <summary>The address of an option.</summary>
    /// <exception cref="UsageException">The value is neither an IP address nor localhost.</exception>
    public static IPAddress Of(ParseResult parsed, Option<string> option)
    {
        var given = parsed.GetRequiredValue(option);
        return given == "localhost" ? IPAddress.Loopback
            : IPAddress.TryParse(given, out var address) ? address
            : throw new UsageException(
                $"{option.Name} '{given}' is not an IP address; give one such as 127.0.0.1, or 0.0.0.0 for all of this machine."
            );
    }
}
