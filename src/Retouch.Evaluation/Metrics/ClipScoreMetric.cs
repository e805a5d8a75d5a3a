using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Metrics;

/// <summary>CLIPScore of captioned pictures, see <see cref="ClipScore"/>.</summary>
public sealed record ClipScoreMetric : IMetric
{
    /// <inheritdoc/>
    public string Name => "clipscore";

    /// <inheritdoc/>
    public string Title => "similarity of picture and caption under CLIP";

    /// <inheritdoc/>
    public MetricNeeds Needs => MetricNeeds.Captions;

    /// <summary>CLIP model; required, not disposed.</summary>
    public ClipScore? Model { get; init; }

    /// <inheritdoc/>
    public void Validate(IReadOnlyList<IFeatureExtractor> networks, Requirements check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.That(Model is not null, "clipscore needs a CLIP model with its tokenizer: give its folder with --clip FOLDER");
    }

    /// <inheritdoc/>
    public IEnumerable<ProtocolEntry> Protocol(MetricContext context)
    {
        var used = Model!.Protocol;
        return [new("clipScore", used, "CLIPScore", $"{used.Model}, sha256 {used.Sha256}: {used.Formula}; captions {used.Captions}")];
    }

    /// <inheritdoc/>
    public IMetricPass? Begin(MeasuredSet set) =>
        PicturePass.Over(
            set,
            [new(Name, Preference.Higher)],
            batch =>
                Model!.Of(
                    batch.Images,
                    [.. Enumerable.Range(batch.Start, (int)batch.Images.Shape[0]).Select(index => Caption(set.Pictures, index))]
                )
        );

    private static string Caption(ImageSet set, int index) =>
        set.Caption(index)
        ?? throw new InputException(
            $"The picture '{set.Id(index)}' of '{set.Name}' has no caption, which clipscore requires. Add its prompt in "
                + "a .txt file next to it or in metadata.jsonl, or omit clipscore."
        );
}
