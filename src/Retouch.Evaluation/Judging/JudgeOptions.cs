using Retouch.Core.Errors;

namespace Retouch.Evaluation.Judging;

/// <summary>Pairs formed from the candidates of a prompt.</summary>
public enum JudgedPairing
{
    /// <summary>The best with the worst.</summary>
    BestWorst,

    /// <summary>All pairs.</summary>
    All,
}

/// <summary>Rules that turn scores into pairs.</summary>
public sealed record JudgeOptions
{
    /// <summary>Pairs formed from the candidates of a prompt.</summary>
    public JudgedPairing Pairs { get; init; } = JudgedPairing.BestWorst;

    /// <summary>
    /// Smallest difference between winner and loser in the unit of the score, at least 0; smaller differences, and equal scores, are ties.
    /// </summary>
    [Bounds(AtLeast = 0)]
    public double Margin { get; init; }

    /// <summary>Pictures per batch, 1 to 4096.</summary>
    [Bounds(AtLeast = 1, AtMost = 4096)]
    public int BatchSize { get; init; } = 16;

    /// <summary>Whether pictures are hard-linked instead of copied, if the file system supports it.</summary>
    public bool Link { get; init; }

    /// <summary>Validates the options.</summary>
    /// <exception cref="UsageException">An option is out of range.</exception>
    public void Validate()
    {
        var check = Requirements.OfFlags();
        check.Members(this);
        check.Throw();
    }
}
