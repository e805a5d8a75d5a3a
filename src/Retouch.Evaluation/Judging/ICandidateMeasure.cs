using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Evaluation.Judging;

/// <summary>What decides an automatic judge's scores besides the pictures and their prompts.</summary>
/// <param name="Judge">The measure's name: <c>clipscore</c>, <c>sharpness</c> or <c>reconstruction</c>.</param>
/// <param name="Score">What a score is, with its unit; higher is better.</param>
/// <param name="Model">Name of the folder of the network that it looks through; null without one.</param>
/// <param name="Sha256">Hash of that network's weights; null without one.</param>
public sealed record JudgeProtocol(string Judge, string Score, string? Model = null, string? Sha256 = null);

/// <summary>Gives each picture a score by itself, higher for better.</summary>
public interface ICandidateMeasure : IDisposable
{
    /// <summary>What decides the scores.</summary>
    JudgeProtocol Protocol { get; }

    /// <summary>Whether pictures are compared with their prompts.</summary>
    bool NeedsPrompts { get; }

    /// <summary>Scores pictures.</summary>
    /// <param name="pictures">[batch, 3, height, width], float32 on the CPU, multiples of 1/255 in [0, 1].</param>
    /// <param name="prompts">One a picture; empty texts where there is none and none is needed.</param>
    /// <returns>[batch].</returns>
    /// <exception cref="InputException">The pictures' size cannot be measured.</exception>
    double[] Of(Tensor pictures, IReadOnlyList<string> prompts);
}
