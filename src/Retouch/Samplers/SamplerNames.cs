using Retouch.Core.Errors;

namespace Retouch.Samplers;

/// <summary>What samplers are called on a command line and in files.</summary>
public static class SamplerNames
{
    private const string KarrasEnding = "-karras";

    /// <summary>All names. Those of methods in σ or λ may end in <c>-karras</c>.</summary>
    public static IReadOnlyList<string> All { get; } = [.. SolverCatalog.All.Select(static s => s.Name)];

    /// <summary>The method of a name, with its usual options.</summary>
    /// <param name="name">One of <see cref="All"/>, perhaps with its ending.</param>
    /// <exception cref="UsageException">No such sampler.</exception>
    public static (Solver Solver, SigmaSpacing Sigmas) Parse(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        var isKarras = name.EndsWith(KarrasEnding, StringComparison.Ordinal);
        var plain = isKarras ? name[..^KarrasEnding.Length] : name;
        if (SolverCatalog.All.FirstOrDefault(s => s.Name == plain) is { } solver && (!isKarras || solver.Levels != SolverLevels.Timesteps))
            return (solver, isKarras ? SigmaSpacing.Karras : SigmaSpacing.Schedule);
        var whole = SolverCatalog.All.Where(static s => s.Levels == SolverLevels.Timesteps).Select(static s => s.Name);
        throw new UsageException(
            $"'{name}' is no sampler; there are {string.Join(", ", All)}, and those but {string.Join(", ", whole)} with {KarrasEnding} "
                + "for Karras' noise levels."
        );
    }

    /// <summary>The name of options, with the spacing of their levels where it is not the schedule's.</summary>
    public static string Of(SamplerOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var name = options.Solver.Name;
        return options.Sigmas switch
        {
            SigmaSpacing.Karras => name + KarrasEnding,
            SigmaSpacing.Exponential => name + "-exponential",
            SigmaSpacing.Beta => name + "-beta",
            _ => name,
        };
    }
}
