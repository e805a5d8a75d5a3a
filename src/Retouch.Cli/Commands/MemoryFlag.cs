using System.CommandLine;
using System.Globalization;
using Retouch.Core.Errors;

namespace Retouch.Cli.Commands;

/// <summary><c>train --memory</c>: a limit of memory that settings are chosen for.</summary>
internal static class MemoryFlag
{
    private static readonly (string Suffix, double Factor)[] Units =
    [
        ("KiB", 1024),
        ("MiB", 1024 * 1024),
        ("GiB", 1024 * 1024 * 1024),
        ("TiB", 1024.0 * 1024 * 1024 * 1024),
        ("KB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("K", 1024),
        ("M", 1024 * 1024),
        ("G", 1024 * 1024 * 1024),
        ("T", 1024.0 * 1024 * 1024 * 1024),
    ];

    /// <summary>The option.</summary>
    public static Option<string?> Memory { get; } =
        new("--memory")
        {
            Description =
                "Choose settings that fit into this memory, such as 20G, and keep the loss: micro-batches with accumulation, "
                + "objective.decodeBatch, recomputed activations; the fastest by short trials. Main memory of the process or, on a GPU, "
                + "of tensors.",
        };

    /// <summary>The limit in bytes; null without the option.</summary>
    /// <param name="parsed">Command line.</param>
    /// <param name="resumes">Whether a run is resumed.</param>
    /// <param name="shared">Whether several processes train together.</param>
    /// <exception cref="UsageException">The option has no effect, or its value is no size.</exception>
    public static long? Limit(ParseResult parsed, bool resumes, bool shared)
    {
        if (parsed.GetValue(Memory) is not { } size)
            return null;
        if (resumes)
            throw new UsageException($"{Memory.Name} chooses options of a new run; it has no effect with --resume. Leave it out.");
        if (shared)
            throw new UsageException(
                $"{Memory.Name} plans a single process. Run it with --dry-run in one process, and give the options that it chooses."
            );
        return Parse(size);
    }

    /// <summary>Bytes of a size such as 20G, 1.5GiB or 800MB; K, M, G and T are powers of 1024.</summary>
    /// <param name="text">The size.</param>
    /// <exception cref="UsageException">The text is no size above 0.</exception>
    internal static long Parse(string text)
    {
        var unit = Array.Find(Units, u => text.EndsWith(u.Suffix, StringComparison.OrdinalIgnoreCase));
        if (
            unit.Suffix is null
            || !double.TryParse(text[..^unit.Suffix.Length].Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            || !(number > 0 && number * unit.Factor < 1L << 60)
        )
            throw new UsageException($"{Memory.Name} is '{text}'; give a size with its unit, such as 20G (also K, M, T; GiB or GB).");
        return (long)(number * unit.Factor);
    }
}
