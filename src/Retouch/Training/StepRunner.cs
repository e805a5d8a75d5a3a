using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Torch;
using Retouch.Torch.Diagnostics;
using Retouch.Torch.Optim;
using Retouch.Training.Options;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>One optimiser step: accumulate, clip, step, average.</summary>
/// <param name="task">What is trained.</param>
/// <param name="options">Validated options.</param>
/// <param name="optimiser">Of the task's network.</param>
/// <param name="averages">Of the same parameters.</param>
/// <param name="clock">Told the phases of the step; null where nobody asks.</param>
internal sealed class StepRunner(
    ITrainingTask task,
    TrainingOptions options,
    AdamW optimiser,
    IReadOnlyList<WeightAverage> averages,
    PhaseClock? clock = null
)
{
    /// <summary>Takes a step; null when interrupted while waiting for data.</summary>
    /// <param name="data">Where batches come from.</param>
    /// <param name="step">Steps done before this one.</param>
    /// <param name="cursor">Moves on behind the step's samples.</param>
    /// <param name="kept">Says what a run that fails here can go on from.</param>
    /// <param name="cancellation">Ends waiting for the first batch.</param>
    /// <exception cref="InputException">The loss or its gradient is not finite.</exception>
    public StepRecord? Take(IBatchSource data, long step, ref DataCursor cursor, Func<string> kept, CancellationToken cancellation)
    {
        using var rest = clock?.Enter(StepPhases.Rest);
        optimiser.ZeroGrad();
        var record = new StepRecord(options.Batch.Accumulate);
        var next = cursor;
        List<string> seen = [];
        for (var micro = 0; micro < options.Batch.Accumulate; micro++)
        {
            using var scope = TensorScope.Enter();
            TrainingBatch batch;
            try
            {
                using var waiting = clock?.Enter(StepPhases.Data);
                // Once a batch was evaluated the step is finished: a weight that the task adapts has seen it.
                batch = data.Next(micro == 0 ? cancellation : CancellationToken.None);
            }
            catch (OperationCanceledException)
            {
                return null;
            }

            var loss = task.Evaluate(batch, new StepSeeds(options.Seed, step, micro, 0));
            record.Add(loss);
            if (!record.IsFinite)
                throw NotFinite(loss, Suspects(batch, loss), "loss", step, kept);
            seen.AddRange(Suspects(batch, loss));
            using (clock?.Enter(StepPhases.Backward))
                Autograd.Backward(options.Batch.Accumulate == 1 ? loss.Loss.Total : loss.Loss.Total * (1.0 / options.Batch.Accumulate));
            next = batch.Next;
            if (micro == options.Batch.Accumulate - 1)
                Update(record, step, () => NotFinite(loss, seen, "gradient", step, kept));
        }

        cursor = next;
        return record;
    }

    private void Update(StepRecord record, long step, Func<Exception> notFinite)
    {
        using var phase = clock?.Enter(StepPhases.Optimiser);
        var norm = optimiser.GradientNorm();
        if (!double.IsFinite(norm))
            throw notFinite();
        var clip = options.Optimiser.ClipNorm;
        var scale = clip is { } bound ? Math.Min(1, bound / (norm + 1e-6)) : 1;
        var rate =
            options.Optimiser.LearningRate * options.Optimiser.Schedule.Multiplier(step, options.Steps, options.Optimiser.LearningRate);
        optimiser.Step(rate, scale, averages);
        record.Values.Add(new("gradient/norm", norm));
        record.Values.Add(new("gradient/clip", scale));
        record.Values.Add(new("learning_rate", rate));
    }

    /// <summary>The samples whose own loss is not finite, or all where none stands out, each with its time.</summary>
    private static string[] Suspects(TrainingBatch batch, StepLoss loss)
    {
        var perSample = loss.PerSample.ToArray<double>();
        var times = loss.Times?.ToArray<double>();
        var bad = Enumerable.Range(0, perSample.Length).Where(k => !double.IsFinite(perSample[k])).ToArray();
        return
        [
            .. (bad.Length > 0 ? bad : [.. Enumerable.Range(0, batch.Count)]).Select(k =>
                times is null
                    ? batch.Samples[k].Id
                    : string.Create(CultureInfo.InvariantCulture, $"{batch.Samples[k].Id} (timestep {times[k]:0.#})")
            ),
        ];
    }

    private static InputException NotFinite(StepLoss loss, IReadOnlyList<string> samples, string what, long step, Func<string> kept)
    {
        var terms = loss
            .Loss.Terms.Where(static t => !double.IsFinite(t.Raw) || !double.IsFinite(t.Weighted))
            .Select(static t => t.Name)
            .ToArray();
        return new InputException(
            $"The {what} is not finite at step {step + 1}: "
                + $"{(terms.Length > 0 ? "term " + string.Join(", ", terms) : "no single term")}, samples {string.Join(", ", samples)}. "
                + $"{kept()} Lower the learning rate or the term's weight, or train in float32."
        );
    }
}
