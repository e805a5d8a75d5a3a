using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Objectives;
using Retouch.Torch;
using Retouch.Torch.Optim;
using Retouch.Training.Distributed;
using Retouch.Training.Options;
using Retouch.Training.Tasks;

namespace Retouch.Training.HeldOut;

/// <summary>State of the validation: part of a checkpoint.</summary>
/// <param name="Step">Step of the last validation; −1 before the first.</param>
/// <param name="Latest">Watched value at that step.</param>
/// <param name="BestStep">Step of the lowest watched value.</param>
/// <param name="Best">Lowest watched value.</param>
/// <param name="Mark">Value that an improvement is relative to.</param>
/// <param name="Waited">Validations since the last improvement.</param>
public sealed record ValidationState(long Step, double Latest, long BestStep, double Best, double Mark, int Waited)
{
    /// <summary>State before the first validation.</summary>
    public static ValidationState None { get; } = new(-1, 0, -1, 0, 0, 0);
}

/// <summary>Result of a run's validation, for the first weight average (for the weights without averages).</summary>
/// <param name="Term">Watched term.</param>
/// <param name="BestStep">Step of the lowest value; 0 is before the training.</param>
/// <param name="Best">Lowest value.</param>
/// <param name="LastStep">Step of the last validation.</param>
/// <param name="Last">Value at that step.</param>
/// <param name="StoppedEarly">Whether the run stopped early.</param>
public sealed record ValidationOutcome(string Term, long BestStep, double Best, long LastStep, double Last, bool StoppedEarly)
{
    /// <inheritdoc/>
    public override string ToString() =>
        $"held-out {Term}: lowest after step {Figures.Count(BestStep)}, {Figures.Significant(Best)}"
        + (BestStep == LastStep ? "." : $"; {Figures.Significant(Last)} after step {Figures.Count(LastStep)}.");
}

/// <summary>Evaluates the held-out samples with the current weights and with each average, and decides on an early stop.</summary>
internal sealed class Validator : IDisposable
{
    private const string Weights = "weights";
    private readonly ITrainingTask _task;
    private readonly HeldOutBatches _data;
    private readonly ulong _seed;
    private readonly long _every;
    private readonly long _last;
    private readonly int _parts;
    private readonly EarlyStopOptions? _stop;
    private readonly World? _world;

    /// <param name="task">Training task; not disposed here.</param>
    /// <param name="data">Held-out samples; disposed with this object.</param>
    /// <param name="options">Validated options, with <see cref="TrainingOptions.Validation"/>.</param>
    /// <param name="world">Processes that divide the batches among themselves; null for a single one.</param>
    /// <exception cref="UsageException">The watched term does not exist.</exception>
    public Validator(ITrainingTask task, HeldOutBatches data, TrainingOptions options, World? world = null)
    {
        _world = world;
        var validation = options.Validation!;
        (_task, _data, _seed, _stop) = (task, data, options.Seed, validation.Stop);
        (_every, _last) = (validation.Every, options.Steps);
        _parts = task.TrainSteps is not null ? validation.Timesteps ?? ValidationOptions.DefaultParts : 1;
        Term = _stop?.Term ?? task.Terms[0];
        if (!task.Terms.Contains(Term))
            throw new UsageException(
                $"validation.stop.term is '{Term}', which is not a term of this run; it has {string.Join(", ", task.Terms)}."
            );
    }

    /// <summary>State for an exact resume.</summary>
    public ValidationState State { get; set; } = ValidationState.None;

    /// <summary>Term that is watched and shown.</summary>
    public string Term { get; }

    /// <summary>Held-out samples.</summary>
    public IPictureSource Source => _data.Source;

    /// <summary>Parts of the schedule.</summary>
    public int Parts => _parts;

    /// <summary>Best and last watched value; null before the first validation.</summary>
    public ValidationOutcome? Outcome =>
        State.BestStep < 0 ? null : new(Term, State.BestStep, State.Best, State.Step, State.Latest, HasEnded && State.Step < _last);

    /// <summary>Forward passes of one validation over one set of weights.</summary>
    public int Passes => _parts * _data.Chunks.Count;

    /// <summary>Whether a step is to be validated and is not yet.</summary>
    /// <param name="step">Completed steps.</param>
    public bool IsDue(long step) => State.Step != step && (step % _every == 0 || step == _last);

    /// <summary>Whether the run is to stop early.</summary>
    public bool HasEnded => _stop is { } stop && State.Waited >= stop.Patience;

    /// <summary>The watched value for display; empty before the first validation.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> Shown =>
        State.Step < 0 ? [] : [new($"held-out {Term}", State.Latest), new("best", State.Best)];

    /// <summary>Name of a weight average in the log.</summary>
    public static string NameOf(WeightAverage average) => string.Create(CultureInfo.InvariantCulture, $"average-{average.Options.Decay}");

    /// <summary>Validates a step and updates <see cref="State"/>.</summary>
    /// <param name="step">Completed steps.</param>
    /// <param name="averages">Weight averages; the first is watched.</param>
    /// <param name="progress">Receives completed and total forward passes.</param>
    /// <param name="cancellation">Stops between batches, without a change of the state.</param>
    /// <param name="optimiser">Optimiser of the weights, whose method can evaluate others than it trains; null for the weights.</param>
    /// <param name="evaluated">Puts weights into the network; null if this process has all of them.</param>
    /// <returns>Values by log name.</returns>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public IReadOnlyList<KeyValuePair<string, double>> Run(
        long step,
        IReadOnlyList<WeightAverage> averages,
        Action<int, int>? progress,
        CancellationToken cancellation,
        Optimiser? optimiser = null,
        EvaluatedWeights? evaluated = null
    )
    {
        List<KeyValuePair<string, double>> values = [];
        var (done, all) = (0, Passes * (1 + averages.Count));
        void Count(int passes) => progress?.Invoke(done += passes, all);
        List<double> watched = [];
        void Measure(string name) => watched.Add(Add(values, name, Evaluate(Count, cancellation)));
        evaluated ??= new EvaluatedWeights(null);
        evaluated.With(() => optimiser?.Evaluate(), () => Measure(Weights));
        foreach (var average in averages)
            evaluated.With(() => average.Apply(), () => Measure(NameOf(average)));
        Observe(step, watched[Math.Min(1, averages.Count)]);
        return values;
    }

    /// <summary>Updates best value and patience.</summary>
    internal void Observe(long step, double value)
    {
        var first = State.BestStep < 0;
        var improved = first || value < State.Mark - (Math.Abs(State.Mark) * (_stop?.SmallestImprovement ?? 0));
        var best = first || value < State.Best;
        State = new(
            step,
            value,
            best ? step : State.BestStep,
            best ? value : State.Best,
            improved ? value : State.Mark,
            improved ? 0 : State.Waited + 1
        );
    }

    /// <summary>Values of all terms, for each part of the schedule; equal in all processes.</summary>
    /// <param name="passed">Receives the number of further forward passes, over all processes.</param>
    /// <param name="cancellation">Stops between batches, in all processes if it is cancelled in one.</param>
    internal Dictionary<string, HealthFigure>[] Evaluate(Action<int>? passed, CancellationToken cancellation)
    {
        using var quiet = Autograd.NoGrad();
        var (rank, size) = (_world?.Rank ?? 0, _world?.Size ?? 1);
        var rounds = HeldOutShares.Of(_parts, _data.Chunks.Count, size);
        double[][] strata = [.. Enumerable.Range(0, _parts).Select(part => HeldOutDraws.Strata(_seed, _data.Source.Count, part, _parts))];
        List<HeldOutPass> own = [];
        foreach (var round in rounds)
        {
            if (_world?.Any("validation", cancellation.IsCancellationRequested)[0] ?? cancellation.IsCancellationRequested)
                throw new OperationCanceledException(cancellation);
            if (rank < round.Length && round[rank] is var (part, chunk))
                own.Add(Evaluate(part, chunk, strata[part]));
            passed?.Invoke(round.Count(static r => r is not null));
        }

        return HeldOutShares.Sum(_parts, _world is null ? own : HeldOutShares.Gather(_world, own));
    }

    private HeldOutPass Evaluate(int part, int index, double[] fractions)
    {
        using var scope = TensorScope.Enter();
        var chunk = _data.Chunks[index];
        var draws = new HeldOutDraws(_seed, chunk, part, [.. chunk.Select(i => fractions[i])]);
        return new HeldOutPass(part, index, _task.Validate(_data[index], draws));
    }

    /// <inheritdoc/>
    public void Dispose() => _data.Dispose();

    /// <summary>Seconds of one validation, measured on one batch for each average and for the weights.</summary>
    public double Measure(int averages, TimeProvider time)
    {
        using var quiet = Autograd.NoGrad();
        using var scope = TensorScope.Enter();
        var chunk = _data.Chunks[0];
        var batch = _data[0];
        var start = time.GetTimestamp();
        _ = _task.Validate(batch, new HeldOutDraws(_seed, chunk, 0, [.. chunk.Select(static _ => 0.5)]));
        return time.GetElapsedTime(start).TotalSeconds * Passes * (1 + averages);
    }

    private double Add(List<KeyValuePair<string, double>> values, string weights, Dictionary<string, HealthFigure>[] parts)
    {
        var prefix = $"validation/{weights}/";
        foreach (var name in parts[0].Keys)
        {
            var sum = parts.Select(p => p[name]).Aggregate(static (a, b) => a.Plus(b));
            if (sum.IsKnown)
                values.Add(new(prefix + name, sum.Value));
            for (var p = 0; _parts > 1 && p < _parts; p++)
            {
                if (parts[p][name].IsKnown)
                    values.Add(new(string.Create(CultureInfo.InvariantCulture, $"{prefix}{name}/{RangeOf(p)}"), parts[p][name].Value));
            }
        }

        return values.Find(v => v.Key == prefix + Term) is { Key: not null } found ? found.Value : double.NaN;
    }

    private string RangeOf(int part) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"t{(double)_task.TrainSteps!.Value * part / _parts:0.#}-{(double)_task.TrainSteps.Value * (part + 1) / _parts:0.#}"
        );
}
