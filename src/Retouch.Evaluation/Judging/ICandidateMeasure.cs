using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Evaluation.Judging;

/// <summary>Settings of an automatic judge.</summary>
/// <param name="Judge">The measure's name: <c>clipscore</c>, <c>sharpness</c> or <c>reconstruction</c>.</param>
/// <param name="Score">Definition of the score, with its unit; higher is better.</param>
/// <param name="Model">Folder name of its network; null without one.</param>
/// <param name="Sha256">Hash of the network's weights; null without one.</param>
public sealed record JudgeProtocol(string Judge, string Score, string? Model = null, string? Sha256 = null);

/// <summary>Score of single pictures; higher is better.</summary>
public interface ICandidateMeasure : IDisposable
{
    /// <summary>Settings that determine the scores.</summary>
    JudgeProtocol Protocol { get; }

    /// <summary>Whether prompts are required.</summary>
    bool NeedsPrompts { get; }

    /// <summary>Scores pictures.</summary>
    /// <param name="pictures">[batch, 3, height, width], float32 on the CPU, multiples of 1/255 in [0, 1].</param>
    /// <param name="prompts">One prompt per picture; empty strings where none exists and none is required.</param>
    /// <returns>[batch].</returns>
    /// <exception cref="InputException">The pictures have an unsuitable size.</exception>
    double[] Of(Tensor pictures, IReadOnlyList<string> prompts);
}
