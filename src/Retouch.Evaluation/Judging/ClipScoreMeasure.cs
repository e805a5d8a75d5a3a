using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Torch;

namespace Retouch.Evaluation.Judging;

/// <summary>Similarity of picture and prompt, see <see cref="ClipScore"/>.</summary>
public sealed class ClipScoreMeasure : ICandidateMeasure
{
    private readonly ClipScore _score;

    private ClipScoreMeasure(ClipScore score)
    {
        _score = score;
        Protocol = new(
            "clipscore",
            $"{score.Protocol.Formula}; prompts {score.Protocol.Captions}",
            score.Protocol.Model,
            score.Protocol.Sha256
        );
    }

    /// <inheritdoc/>
    public JudgeProtocol Protocol { get; }

    /// <inheritdoc/>
    public bool NeedsPrompts => true;

    /// <summary>Opens the folder of a CLIP model with its tokenizer.</summary>
    /// <param name="folder">Folder, as for <see cref="ClipScore.Open"/>.</param>
    /// <param name="device">Device of the model.</param>
    /// <exception cref="InputException">A file is missing or damaged, or belongs to another architecture.</exception>
    public static ClipScoreMeasure Open(string folder, Device device) => new(ClipScore.Open(folder, device));

    /// <inheritdoc/>
    public double[] Of(Tensor pictures, IReadOnlyList<string> prompts) => _score.Of(pictures, prompts);

    /// <inheritdoc/>
    public void Dispose() => _score.Dispose();
}
