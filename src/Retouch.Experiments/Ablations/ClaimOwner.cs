using System.Globalization;

namespace Retouch.Experiments.Ablations;

/// <summary>Who holds a claim, as its file says.</summary>
internal sealed record ClaimOwner
{
    /// <summary>
    /// The machine, this boot of it, and the process numbers' namespace: within one of these a process can be looked up by its number.
    /// </summary>
    public string Machine { get; init; } = "";

    /// <summary>The process's number.</summary>
    public int Process { get; init; }

    /// <summary>When it started, in the kernel's ticks: numbers are used again.</summary>
    public string Started { get; init; } = "";

    /// <summary>Counts up while the owner lives.</summary>
    public long Beat { get; init; }

    /// <summary>Whether the owner has let go.</summary>
    public bool Released { get; init; }

    /// <summary>This process.</summary>
    public static ClaimOwner Me { get; } =
        new()
        {
            Machine = ThisMachine(),
            Process = Environment.ProcessId,
            Started = StartOf(Environment.ProcessId) ?? "",
        };

    /// <summary>Whether the owner is known to be dead; null where it cannot be looked up from here.</summary>
    public bool? IsDead => Machine != Me.Machine || Started.Length == 0 ? null : StartOf(Process) != Started;

    /// <summary>When a process started, in the kernel's ticks; null where it has ended.</summary>
    internal static string? StartOf(int process)
    {
        try
        {
            // The command's name stands in parentheses and may hold anything; after it come the state (field 3) and, as field 22, the
            // start.
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
