using System.Reflection;

namespace Retouch.Samplers;

/// <summary>The methods of sampling: every record that derives from <see cref="Solver"/>, by name.</summary>
public static class SolverCatalog
{
    /// <summary>Those of this library, in the order of their names, each with its usual options.</summary>
    public static IReadOnlyList<Solver> All { get; } = In(typeof(Solver).Assembly);

    /// <summary>Those of an assembly, in the order of their names, each with its usual options.</summary>
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
