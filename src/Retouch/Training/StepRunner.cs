using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Torch.Diagnostics;
using Retouch.Torch.Optim;
using Retouch.Training.Distributed;
using Retouch.Training.Options;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>One optimiser step: accumulate, clip, step, average.</summary>
/// <param name="task">Training task.</param>
/// <param name="options">Validated options.</param>
/// <param name="optimiser">Optimiser of the task's network.</param>
/// <param name="averages">Weight averages of the same parameters.</param>
/// <param name="scaler">Loss scaler for float16; null for other types.</param>
/// <param name="clock">Receives the phases of the step, or null.</param>
/// <param name="parallel">Other processes that share the step; null for a single process.</param>
internal sealed class StepRunner(
    ITrainingTask task,
    TrainingOptions options,
    Optimiser optimiser,
    IReadOnlyList<WeightAverage> averages,
    LossScaler? scaler = null,
    PhaseClock? clock = null,
    DataParallel? parallel = null
)
{
    private int Processes => parallel?.World.Size ?? 1;

    /// <summary>Runs one step; null if interrupted while waiting for data.</summary>
    /// <param name="data">Source of batches.</param>
    /// <param name="step">Completed steps before this one.</param>
    /// <param name="cursor">Advanced past the step's samples.</param>
    /// <param name="kept">Describes what a failed run can be resumed from.</param>
    /// <param name="cancellation">Cancels waiting for the first batch.</param>
    /// <exception cref="DivergedException">The loss or its gradient is not finite.</exception>
    public StepRecord? Take(IBatchSource data, long step, ref DataCursor cursor, Func<string> kept, CancellationToken cancellation)
    {
        using var rest = clock?.Enter(StepPhases.Rest);
        optimiser.ZeroGrad();
        task.Adversary?.ZeroGrad();
        var record = new StepRecord(options.Batch.Accumulate);
        var next = cursor;
        List<string> seen = [];
        // Micro-batches are dealt out to the processes in turn.
        var first = parallel?.World.Rank ?? 0;
        for (var micro = first; micro < options.Batch.Accumulate; micro += Processes)
        {
            using var scope = TensorScope.Enter();
            TrainingBatch batch;
            try
            {
                using var waiting = clock?.Enter(StepPhases.Data);
                parallel?.World.Enter($"step {step + 1}, waiting for data");
                // After the first batch the step must be completed: measured weights have already observed it. Several processes stop
                // together, between two steps.
                batch = data.Next(micro == 0 && parallel is null ? cancellation : CancellationToken.None);
                parallel?.World.Enter($"step {step + 1}, computing");
            }
            catch (OperationCanceledException)
            {
                return null;
            }

            try
            {
                record = Evaluate(batch, step, micro, record, seen, kept);
            }
            catch (OutOfDeviceMemoryException e) when (parallel is null)
            {
                // Several processes cannot repeat the step: its sums are waiting for this one's part.
                optimiser.ZeroGrad();
                task.Adversary?.ZeroGrad();
                var device = task.Network.All[0].Value.Device;
                throw new MemoryTrial(task, options, device).Explain(e, batch, new StepSeeds(options.Seed, step, micro));
            }

            next = batch.Next;
        }

        cursor = next;
        return record;
    }

    /// <summary>
    /// Gradients of a micro-batch, and the update after the last one. All tensors are freed, also on failure. Returns the metrics so far:
    /// after the last micro-batch, those of the step over all processes.
    /// </summary>
    private StepRecord Evaluate(TrainingBatch batch, long step, int micro, StepRecord record, List<string> seen, Func<string> kept)
    {
        using var scope = TensorScope.Enter();
        var loss = task.Evaluate(batch, new StepSeeds(options.Seed, step, micro));
        record.Add(loss);
        // In float16 an occasional overflow is expected: the whole step is skipped. Several processes fail together, at the end of the
        // step.
        if (!record.IsFinite && scaler is null && parallel is null)
            throw NotFinite(record, Suspects(batch, loss), "loss", step, kept);
        seen.AddRange(Suspects(batch, loss));
        var factor = (scaler?.Scale ?? 1) / options.Batch.Accumulate;
        var isLast = micro + Processes >= options.Batch.Accumulate;
        parallel?.BeforeBackward(isLast);
        using (clock?.Enter(StepPhases.Backward))
            if (record.IsFinite)
                Autograd.Backward(factor == 1 ? loss.Loss.Total : loss.Loss.Total * factor);
        if (!isLast)
        {
            parallel?.AfterBackward();
            return record;
        }

        IReadOnlyList<string> samples = seen;
        if (parallel is not null)
        {
            parallel.World.Enter($"step {step + 1}, sum of gradients");
            (record, samples) = parallel.Finish(record, seen, options.Batch.Accumulate);
            if (!record.IsFinite && scaler is null)
                throw NotFinite(record, samples, "loss", step, kept);
        }

        Update(record, step, () => NotFinite(record, samples, record.IsFinite ? "gradient" : "loss", step, kept));
        return record;
    }

    private void Update(StepRecord record, long step, Func<Exception> notFinite)
    {
        using var phase = clock?.Enter(StepPhases.Optimiser);
        var norm = record.IsFinite ? optimiser.GradientNorm() / (scaler?.Scale ?? 1) : double.NaN;
        record.Values.Add(new("gradient/norm", norm));
        if (!double.IsFinite(norm))
        {
            if (scaler?.Skip() != true)
                throw notFinite();
            record.IsSkipped = true;
            Log(record);
            return;
        }

        var clip = options.Optimiser.ClipNorm;
        var scale = clip is { } bound ? Math.Min(1, bound / (norm + 1e-6)) : 1;
        var rate = options.Optimiser.BaseRate * options.Optimiser.Schedule.Multiplier(step, options.Steps, options.Optimiser.BaseRate);
        optimiser.Step(rate, scale / (scaler?.Scale ?? 1), averages);
        parallel?.Exchange(record);
        if (task.Adversary is { } adversary)
        {
            parallel?.Sum(adversary.Gradients);
            adversary.Step();
        }

        scaler?.Took();
        record.Values.Add(new("gradient/clip", scale));
        record.Values.Add(new("learning_rate", rate));
        record.Values.AddRange(optimiser.Figures);
        Log(record);
    }

    private void Log(StepRecord record)
    {
        if (scaler is null)
            return;
        record.Values.Add(new("scaler/scale", scaler.Scale));
        record.Values.Add(new("scaler/skipped", scaler.Skipped));
    }

    /// <summary>Samples with a non-finite loss, or all samples if none stands out, with timesteps.</summary>
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

    private static DivergedException NotFinite(StepRecord record, IReadOnlyList<string> samples, string what, long step, Func<string> kept)
    {
        var terms = record
            .Terms.Where(static t => !double.IsFinite(t.Raw) || !double.IsFinite(t.Weighted))
            .Select(static t => t.Name)
            .ToArray();
        return new DivergedException(
            $"The {what} is not finite at step {step + 1}: "
                + $"{(terms.Length > 0 ? "term " + string.Join(", ", terms) : "no single term")}, samples {string.Join(", ", samples)}. "
                + $"{kept()} Lower the learning rate or the term's weight, or train in float32."
        );
    }
}
