using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Microsoft.AspNetCore.Http;

namespace Retouch.Web;

/// <summary>
/// Host names of the server. Requests under other names are refused, which prevents DNS rebinding. Ports may differ, as behind a tunnel.
/// </summary>
internal sealed class HostNames
{
    private readonly HashSet<string> _names = new(StringComparer.OrdinalIgnoreCase);

    public HostNames(IPAddress address, IEnumerable<string> others)
    {
        if (IPAddress.IsLoopback(address))
            _names.UnionWith(["localhost", "127.0.0.1", "::1", address.ToString()]);
        else if (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any))
            _names.UnionWith([.. OwnAddresses().Select(static a => a.ToString()), "localhost", Dns.GetHostName()]);
        else
            _names.UnionWith([address.ToString(), Dns.GetHostName()]);
        _names.UnionWith(others);
    }

    /// <summary>Whether a Host header names this server.</summary>
    public bool Allow(HostString host) => host.HasValue && _names.Contains(host.Host.Trim('[', ']'));

    private static IEnumerable<IPAddress> OwnAddresses() =>
        NetworkInterface
            .GetAllNetworkInterfaces()
            .SelectMany(static i => i.GetIPProperties().UnicastAddresses)
            .Select(static a => a.Address)
            .Where(static a => a.AddressFamily is AddressFamily.InterNetwork or AddressFamily.InterNetworkV6);
}
