using System.Globalization;

namespace Retouch.Experiments.Ablations;

/// <summary>Owner of a claim, stored in its file.</summary>
internal sealed record ClaimOwner
{
    /// <summary>
    /// Machine, boot and PID namespace: within one of these, a PID identifies a process.
    /// </summary>
    public string Machine { get; init; } = "";

    /// <summary>PID.</summary>
    public int Process { get; init; }

    /// <summary>Start time in the kernel's ticks, since PIDs are reused.</summary>
    public string Started { get; init; } = "";

    /// <summary>Heartbeat counter.</summary>
    public long Beat { get; init; }

    /// <summary>Whether the claim is released.</summary>
    public bool Released { get; init; }

    /// <summary>This process.</summary>
    public static ClaimOwner Me { get; } =
        new()
        {
            Machine = ThisMachine(),
            Process = Environment.ProcessId,
            Started = StartOf(Environment.ProcessId) ?? "",
        };

    /// <summary>Whether the owner is dead; null if unknown, as on another machine.</summary>
    public bool? IsDead => Machine != Me.Machine || Started.Length == 0 ? null : StartOf(Process) != Started;

    /// <summary>Start time of a process in the kernel's ticks; null if it has ended.</summary>
    internal static string? StartOf(int process)
    {
        try
        {
            // The command's name is in parentheses and can contain any character; the state (field 3) and the start time (field 22) follow
            // it.
            var stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/stat"));
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : fields[19];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string ThisMachine()
    {
        string Read(Func<string?> read)
        {
            try
            {
                return read()?.Trim() ?? "";
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return "";
            }
        }

        var boot = Read(static () => File.ReadAllText("/proc/sys/kernel/random/boot_id"));
        var names = Read(static () => new FileInfo("/proc/self/ns/pid").LinkTarget);
        return $"{Environment.MachineName} {boot} {names}";
    }
}
