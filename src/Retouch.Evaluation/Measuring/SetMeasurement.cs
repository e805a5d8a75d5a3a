using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Measuring;

/// <summary>One pass over a set for all metrics.</summary>
internal sealed class SetMeasurement : IDisposable
{
    private readonly MeasuredSet _set;
    private readonly IMetricPass?[] _passes;

    private SetMeasurement(MeasuredSet set)
    {
        _set = set;
        _passes = new IMetricPass?[set.Context.Metrics.Count];
    }

    public ImageSet Pictures => _set.Pictures;

    /// <summary>Reads a set once. Several processes extract features first, together; then rank 0 reads the pictures for the metrics that
    /// need them.</summary>
    /// <param name="pictures">Pictures of the set.</param>
    /// <param name="context">Metrics and their context.</param>
    /// <param name="tick">Receives the number of pictures of each batch.</param>
    /// <param name="isReference">Whether the set is the reference.</param>
    public static SetMeasurement Of(ImageSet pictures, MetricContext context, Action<int> tick, bool isReference = false)
    {
        var measurement = new SetMeasurement(new MeasuredSet(pictures, context, tick) { IsReference = isReference });
        try
        {
            measurement.Read(tick);
        }
        catch
        {
            measurement.Dispose();
            throw;
        }

        return measurement;
    }

    /// <summary>Scores of the set, metric by metric; each pass is freed after its scores.</summary>
    /// <param name="reference">Pass over the reference, or null.</param>
    public List<ImageScores> Scores(SetMeasurement? reference)
    {
        List<ImageScores> scores = [];
        for (var k = 0; k < _passes.Length; k++)
        {
            using var pass = _passes[k]!;
            _passes[k] = null;
            scores.AddRange(pass.Scores(reference?._passes[k]));
        }

        return scores;
    }

    public void Dispose()
    {
        DisposePasses();
        _set.Dispose();
    }

    private void DisposePasses()
    {
        foreach (var pass in _passes)
            pass?.Dispose();
        Array.Clear(_passes);
    }

    private void Read(Action<int> tick)
    {
        var context = _set.Context;
        for (var k = 0; k < _passes.Length; k++)
            _passes[k] = context.Metrics[k].Begin(_set);
        if (context.Peers is { } peers)
        {
            if (!peers.IsMain)
                DisposePasses();
            _set.ExtractShared(peers);
            if (!peers.IsMain || !context.Metrics.Any(static m => m.ReadsPictures))
                return;
        }

        var originals = !_set.IsReference && context.Metrics.Any(static m => m.Needs.HasFlag(MetricNeeds.Pairs)) ? context.Reference : null;
        Pictures.ForEachBatch(
            context.BatchSize,
            context.Device,
            (start, images) =>
            {
                if (context.Peers is null)
                    _set.Extract(start, images);
                var batch = new MetricBatch(start, images, originals?.Read(start, (int)images.Shape[0]).To(context.Device));
                foreach (var pass in _passes)
                    pass?.Add(batch);
            },
            tick
        );
    }
}
