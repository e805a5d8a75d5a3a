using Retouch.Core.Errors;

namespace Retouch.Samplers;

/// <summary>Sampler names on the command line and in files.</summary>
public static class SamplerNames
{
    private const string KarrasEnding = "-karras";

    /// <summary>All names. Methods in σ or λ accept the suffix <c>-karras</c>.</summary>
    public static IReadOnlyList<string> All { get; } = [.. SolverCatalog.All.Select(static s => s.Name)];

    /// <summary>Looks up a method by name, with its default options.</summary>
    /// <param name="name">One of <see cref="All"/>, optionally with the suffix.</param>
    /// <exception cref="UsageException">Unknown sampler.</exception>
    public static (Solver Solver, SigmaSpacing Sigmas) Parse(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        name = name.ToLowerInvariant();
        var isKarras = name.EndsWith(KarrasEnding, StringComparison.Ordinal);
        var plain = isKarras ? name[..^KarrasEnding.Length] : name;
        if (SolverCatalog.All.FirstOrDefault(s => s.Name == plain) is { } solver && (!isKarras || solver.Levels != SolverLevels.Timesteps))
            return (solver, isKarras ? SigmaSpacing.Karras : SigmaSpacing.Schedule);
        var whole = SolverCatalog.All.Where(static s => s.Levels == SolverLevels.Timesteps).Select(static s => s.Name);
        throw new UsageException(
            $"'{name}' is not a sampler. Samplers: {string.Join(", ", All)}; all but {string.Join(", ", whole)} accept the "
                + $"suffix {KarrasEnding} for Karras' noise levels."
        );
    }

    /// <summary>Name of sampler options, with a suffix if their spacing is not the schedule's.</summary>
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
