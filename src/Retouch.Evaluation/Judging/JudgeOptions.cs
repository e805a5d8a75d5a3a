using Retouch.Core.Errors;

namespace Retouch.Evaluation.Judging;

/// <summary>Which pairs are made of the candidates of a prompt.</summary>
public enum JudgedPairing
{
    /// <summary>The best and the worst.</summary>
    BestWorst,

    /// <summary>Every two.</summary>
    All,
}

/// <summary>How scores become pairs.</summary>
public sealed record JudgeOptions
{
    /// <summary>Which pairs are made of the candidates of a prompt.</summary>
    public JudgedPairing Pairs { get; init; } = JudgedPairing.BestWorst;

    /// <summary>
    /// How much better a winner is at least, in the unit of the score, 0 or more; what is nearer is a tie. Equal scores always are.
    /// </summary>
    public double Margin { get; init; }

    /// <summary>Pictures scored together, 1 to 4096.</summary>
    public int BatchSize { get; init; } = 16;

    /// <summary>Hard links instead of copies, where the file system can.</summary>
    public bool Link { get; init; }

    /// <exception cref="UsageException">Something is out of range.</exception>
    public void Validate()
    {
        if (!(Margin >= 0 && double.IsFinite(Margin)))
            throw new UsageException($"The margin is {Margin}; it is 0 or more, in the unit of the score.");
        if (BatchSize is < 1 or > 4096)
            throw new UsageException($"The batch size is {BatchSize}; it lies between 1 and 4096.");
    }
}
