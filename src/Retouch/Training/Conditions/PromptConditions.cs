using Retouch.Conditioning;
using Retouch.Conditioning.Prompts;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Training.Caching;
using Retouch.Training.Tasks;

namespace Retouch.Training.Conditions;

/// <summary>Captions of samples, encoded by the pipeline's text encoders.</summary>
internal sealed class PromptConditions : IConditionSource
{
    private const string None = "";

    private readonly LatentDiffusionPipeline _pipeline;
    private readonly double _dropout;
    private readonly IReadOnlyList<string> _shown;
    private readonly string? _cache;
    private readonly Device _device;
    private readonly bool _takesSizes;
    private PromptTable? _table;
    private string[] _firstCaptions = [];

    /// <param name="pipeline">Provides the text encoders, which are in memory only during encoding.</param>
    /// <param name="dropout">Probability of replacing a caption by the empty prompt.</param>
    /// <param name="shown">Prompts of sample grids; empty for the first captions.</param>
    /// <param name="cache">Folder for encoded prompts; null to keep them in memory.</param>
    /// <param name="device">Device of the conditions.</param>
    public PromptConditions(LatentDiffusionPipeline pipeline, double dropout, IReadOnlyList<string> shown, string? cache, Device device)
    {
        (_pipeline, _dropout, _shown, _cache, _device) = (pipeline, dropout, shown, cache, device);
        _takesSizes = PromptEncoders.TakesTimeIds(Folder);
    }

    /// <inheritdoc/>
    public IPictureSource Accept(IPictureSource source, Action<string> note)
    {
        const int Shown = 3;
        string[] without =
        [
            .. Enumerable.Range(0, source.Count).Select(k => source[k]).Where(static s => s.Caption is null).Select(static s => s.Id),
        ];
        if (without.Length > 0)
            throw new InputException(
                $"{without.Length} of {source.Count} pictures have no caption, but the denoiser takes prompts. Put a .txt file "
                    + $"beside each picture, or give captions in metadata.jsonl. The first are "
                    + $"{string.Join(", ", without.Take(Shown))}."
            );
        return source;
    }

    /// <inheritdoc/>
    public void Prepare(
        IReadOnlyList<IPictureSource> sources,
        Action<string> note,
        Action<int, int>? progress,
        CancellationToken cancellation
    )
    {
        if (_table is not null)
            return;
        string[] captions =
        [
            .. sources
                .SelectMany(static s => Enumerable.Range(0, s.Count).SelectMany(k => s[k].AllCaptions))
                .Distinct(StringComparer.Ordinal),
        ];
        // Of pictures with several captions, or variants of them, the first as written.
        _firstCaptions =
        [
            .. sources
                .SelectMany(static s => Enumerable.Range(0, s.Count).Select(k => s[k].Caption!))
                .Distinct(StringComparer.Ordinal)
                .Take(16),
        ];
        var store = _cache is null
            ? null
            : RowStore.Open(
                _cache,
                PromptTable.Key(
                    PromptEncoders.FamilyOf(Folder),
                    [.. PromptEncoders.FoldersOf(Folder).Select(ComponentHash.Of), .. _pipeline.TextAdapters.Select(ComponentHash.Of)]
                )
            );
        PromptEncoders? encoders = null;
        var cut = new List<string>();
        EncodedPrompts Encode(IReadOnlyList<string> prompts)
        {
            encoders ??= _pipeline.LoadPromptEncoders(_device);
            var encoded = encoders.Encoder.Encode(prompts);
            cut.AddRange(encoded.Cut.Select(c => $"'{Excerpt.Of(prompts[c.Prompt])}' without '{Excerpt.Of(c.Dropped)}'"));
            return encoded;
        }

        string[] others = [.. new[] { None }.Concat(_shown).Concat(_firstCaptions).Except(captions, StringComparer.Ordinal)];
        var beside =
            others.Length == 0 ? ""
            : others is [None] ? " and the empty prompt"
            : $" and {Figures.Count(others.Length, "other prompt")}";
        note($"Encoding {Figures.Count(captions.Length, "caption")}{beside} …");
        try
        {
            _table = PromptTable.Encode([None, .. _shown, .. _firstCaptions, .. captions], Encode, store, progress, cancellation);
        }
        finally
        {
            encoders?.Dispose();
        }

        if (cut.Count > 0)
            note(
                $"{Figures.Count(cut.Count, "caption")} longer than the maximum of a text encoder, truncated; the first is read as "
                    + $"{cut[0]}."
            );
    }

    /// <inheritdoc/>
    public Condition Of(TrainingBatch batch, StepSeeds? seeds)
    {
        using var generator = seeds?.For(RandomPurpose.Dropout);
        var chances = generator is null ? null : Ops.Rand([(long)batch.Count], generator).ToArray<float>();
        var condition = Table.Of([.. batch.Samples.Select((s, k) => chances?[k] < _dropout ? None : s.Caption!)]);
        return Complete(condition, [.. batch.Frames.Select(f => Micro(batch, f))]);
    }

    /// <inheritdoc/>
    public (IReadOnlyList<Condition> Conditions, Condition Unconditional)? Shown(int count, int height, int width)
    {
        var prompts = _shown.Count > 0 ? _shown : _firstCaptions;
        Condition For(string prompt) => Complete(Table.Of([prompt]), [MicroConditioning.Whole(height, width)]);
        return ([.. Enumerable.Range(0, count).Select(k => For(prompts[k % prompts.Count]))], For(None));
    }

    /// <inheritdoc/>
    public void Dispose() => _table?.Dispose();

    private string Folder => _pipeline.PromptFolder!;

    private PromptTable Table => _table ?? throw new InvalidOperationException("The captions are not encoded yet.");

    private MicroConditioning Micro(TrainingBatch batch, FrameRecord frame)
    {
        var (shape, scale) = batch.Images is { } images ? (images.Shape, 1) : (batch.Moments!.Shape, _pipeline.Autoencoder.Downsampling);
        return new MicroConditioning(
            frame.OriginalHeight,
            frame.OriginalWidth,
            frame.Top,
            frame.Left,
            (int)shape[2] * scale,
            (int)shape[3] * scale
        );
    }

    private Condition Complete(Condition condition, MicroConditioning[] sizes)
    {
        var there = condition.To(_device);
        return _takesSizes ? there with { TimeIds = MicroConditioning.ToTensor(sizes, _device) } : there;
    }
}
