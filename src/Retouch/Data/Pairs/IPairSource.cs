using Retouch.Core.Errors;

namespace Retouch.Data.Pairs;

/// <summary>Preference pairs: as a picture source it returns the winners, each with a loser.</summary>
public interface IPairSource : IPictureSource
{
    /// <summary>Metadata of the loser of pair <paramref name="index"/>; class and caption are the winner's.</summary>
    Sample Loser(int index);

    /// <summary>Reads the pixels of the loser.</summary>
    /// <param name="index">0 to <see cref="IPictureSource.Count"/> - 1.</param>
    /// <param name="minSide">See <see cref="IPictureSource.Load"/>.</param>
    /// <exception cref="InputException">The picture cannot be read.</exception>
    SourcePicture LoadLoser(int index, int minSide = 0);
}

/// <summary>Handling of ties (no winner) and of contradictions (A over B and B over A for the same prompt).</summary>
public enum PairConflicts
{
    /// <summary>Skips and counts both.</summary>
    Skip,

    /// <summary>Keeps contradictions as pairs in both directions; ties have no winner and are skipped.</summary>
    Keep,

    /// <summary>Reports the first as an error.</summary>
    Refuse,
}

/// <summary>Statistics of a list of pairs.</summary>
/// <param name="Lines">Number of lines.</param>
/// <param name="Pairs">Number of pairs in use.</param>
/// <param name="Ties">Number of lines without a winner.</param>
/// <param name="Contradictions">Number of pairs that are also listed in the opposite direction; each direction counts.</param>
public sealed record PairReport(int Lines, int Pairs, int Ties, int Contradictions)
{
    /// <summary>The statistics as a sentence.</summary>
    /// <param name="lines">Name of <see cref="Lines"/>: lines or rows.</param>
    /// <param name="conflicts">Handling of contradictions.</param>
    internal string Describe(string lines, PairConflicts conflicts) =>
        $"{Pairs} pairs in {Lines} {lines}; {Ties} ties, {Contradictions} contradictions"
        + $"{(conflicts == PairConflicts.Keep ? " (kept)" : " (skipped)")}.";
}
