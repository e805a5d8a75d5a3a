using System.Reflection;

namespace Retouch.Samplers;

/// <summary>Catalogue of sampling methods: all records derived from <see cref="Solver"/>, by name.</summary>
public static class SolverCatalog
{
    /// <summary>Methods of this library, sorted by name, with default options.</summary>
    public static IReadOnlyList<Solver> All { get; } = In(typeof(Solver).Assembly);

    /// <summary>Methods of an assembly, sorted by name, with default options.</summary>
    public static IReadOnlyList<Solver> In(Assembly assembly)
    {
        ArgumentNullException.ThrowIfNull(assembly);
        return
        [
            .. assembly
                .GetTypes()
                .Where(static t => t is { IsAbstract: false } && t.IsSubclassOf(typeof(Solver)))
                .Select(static t => (Solver)Activator.CreateInstance(t)!)
                .OrderBy(static s => s.Name, StringComparer.Ordinal),
        ];
    }
}
