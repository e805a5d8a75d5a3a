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
    [Bounds(AtLeast = 0)]
    public double Margin { get; init; }

    /// <summary>Pictures scored together, 1 to 4096.</summary>
    [Bounds(AtLeast = 1, AtMost = 4096)]
    public int BatchSize { get; init; } = 16;

    /// <summary>Hard links instead of copies, where the file system can.</summary>
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
