using Retouch.Core.Errors;

namespace Retouch.Data.Pairs;

/// <summary>Pairs of pictures: as a picture source it is one of winners, and each has its loser.</summary>
public interface IPairSource : IPictureSource
{
    /// <summary>What is known of the loser of pair <paramref name="index"/>; class and caption are the winner's.</summary>
    Sample Loser(int index);

    /// <summary>Reads the pixels of the loser.</summary>
    /// <param name="index">0 to <see cref="IPictureSource.Count"/> - 1.</param>
    /// <param name="minSide">As for <see cref="IPictureSource.Load"/>.</param>
    /// <exception cref="InputException">The picture cannot be read; the message says why.</exception>
    SourcePicture LoadLoser(int index, int minSide = 0);
}

/// <summary>What becomes of ties (no winner) and of contradictions (A before B, and B before A, for the same prompt).</summary>
public enum PairConflicts
{
    /// <summary>Both are left out and counted.</summary>
    Skip,

    /// <summary>Contradictions stay, each way as a pair; ties have no winner and are left out.</summary>
    Keep,

    /// <summary>The first one is an error.</summary>
    Refuse,
}

/// <summary>What a list of pairs held.</summary>
/// <param name="Lines">Lines that were read.</param>
/// <param name="Pairs">Pairs of one winner and one loser that are used.</param>
/// <param name="Ties">Lines without a winner.</param>
/// <param name="Contradictions">Pairs that stand there the other way round as well; each direction counts.</param>
public sealed record PairReport(int Lines, int Pairs, int Ties, int Contradictions);
