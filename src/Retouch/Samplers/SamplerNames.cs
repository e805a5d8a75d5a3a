using Retouch.Core.Errors;

namespace Retouch.Samplers;

/// <summary>What samplers are called on a command line and in files.</summary>
public static class SamplerNames
{
    private const string KarrasEnding = "-karras";
    private const string Compatible = "ddim-compatible";

    private static readonly (string Name, SamplerKind Kind)[] Kinds =
    [
        ("ddim", SamplerKind.Ddim),
        ("ddpm", SamplerKind.Ddpm),
        ("euler", SamplerKind.Euler),
        ("euler-a", SamplerKind.EulerAncestral),
        ("heun", SamplerKind.Heun),
        ("dpmpp-2m", SamplerKind.DpmSolverPlusPlus),
        ("unipc", SamplerKind.UniPc),
        ("pndm", SamplerKind.Pndm),
        ("lms", SamplerKind.Lms),
    ];

    /// <summary>All names. Those of methods that step in σ may end in <c>-karras</c>.</summary>
    public static IReadOnlyList<string> All { get; } = [.. Kinds.Select(static k => k.Name), Compatible];

    /// <summary>The method of a name.</summary>
    /// <param name="name">One of <see cref="All"/>, perhaps with its ending.</param>
    /// <exception cref="UsageException">No such sampler.</exception>
    public static (SamplerKind Kind, SigmaSpacing Sigmas, bool CompatibleSteps) Parse(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name == Compatible)
            return (SamplerKind.Ddim, SigmaSpacing.Schedule, true);
        var isKarras = name.EndsWith(KarrasEnding, StringComparison.Ordinal);
        var plain = isKarras ? name[..^KarrasEnding.Length] : name;
        foreach (var (known, kind) in Kinds)
        {
            if (known == plain && (!isKarras || SamplerOptions.StepsInSigma(kind)))
                return (kind, isKarras ? SigmaSpacing.Karras : SigmaSpacing.Schedule, false);
        }

        throw new UsageException(
            $"'{name}' is no sampler; there are {string.Join(", ", All)}, and those but ddim, ddim-compatible, ddpm and pndm "
                + $"with {KarrasEnding} "
                + $"for Karras' noise levels."
        );
    }

    /// <summary>The name of options, with the spacing of their levels where it is not the schedule's.</summary>
    public static string Of(SamplerOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.CompatibleSteps)
            return Compatible;
        var name = Kinds.First(k => k.Kind == options.Kind).Name;
        return options.Sigmas switch
        {
            SigmaSpacing.Karras => name + KarrasEnding,
            SigmaSpacing.Exponential => name + "-exponential",
            SigmaSpacing.Beta => name + "-beta",
            _ => name,
        };
    }
}
