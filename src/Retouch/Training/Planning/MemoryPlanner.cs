using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Torch.Optim;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Tasks;

namespace Retouch.Training.Planning;

/// <summary>
/// Chooses settings of a run for a limit of memory. Every alternative is tried on real samples, with micro-batches of increasing size;
/// peaks of larger ones are extrapolated, since they are linear in the number of samples. Samples count as active in every term, so that
/// the prediction is an upper bound of the steps' peaks. The weights are changed.
/// </summary>
/// <param name="task">Training task, prepared.</param>
/// <param name="options">Resolved options of the run.</param>
/// <param name="device">Device of the networks.</param>
/// <param name="time">Clock.</param>
internal sealed class MemoryPlanner(ITrainingTask task, TrainingOptions options, Device device, TimeProvider time)
{
    // Micro-batches of a trial: freed blocks that the process keeps for later ones are part of its peak.
    private const int Passes = 3;

    // Trials go on beyond a limit that is only extrapolated to be exceeded: the peaks of small micro-batches are not quite linear.
    private const double Doubt = 1.3;

    // Settings that are slower by less than this are preferred if they change fewer options.
    private const double Indifference = 0.02;

    // Share of the machine's free memory that a trial may take.
    private const double MachineShare = 0.8;

    private readonly MemoryGauge _gauge = new(device);
    private readonly TrialSteps _steps = new(task);
    private readonly MemorySettings _given = MemorySettings.Of(options);
    private long _base;
    private double _update;

    /// <summary>Chooses settings.</summary>
    /// <param name="batch">A micro-batch of the run.</param>
    /// <param name="limit">Limit in bytes.</param>
    /// <param name="cancellation">Cancels between trials.</param>
    /// <returns>The plan, and the options of the run with the chosen settings.</returns>
    /// <exception cref="EnvironmentException">No settings that keep the loss fit; the message lists what was tried.</exception>
    public (MemoryPlan Plan, TrainingOptions Options) Choose(TrainingBatch batch, long limit, CancellationToken cancellation)
    {
        task.Network.RequireGrad(true);
        // They remain in memory during the trials, as in the run.
        using var optimiser = options.Optimiser.Create(task.Network.Trained, options.Seed);
        WeightAverage[] averages = [.. options.Averages.Select(a => new WeightAverage(task.Network.Trained, a))];
        List<(MemorySettings Settings, Prediction Best)> tried = [];
        void Try(MemorySettings settings) => tried.Add((settings, Largest(settings, batch, limit, cancellation)));
        try
        {
            MeasureBase(batch, optimiser, averages);
            Try(_given);
            var whole = tried[0].Best;
            if (whole.Size < _given.Size || whole.Peak > limit)
                foreach (var settings in Alternatives())
                    Try(settings);
        }
        finally
        {
            _steps.Use(_given, options.Objective);
            Array.ForEach(averages, static a => a.Dispose());
        }

        return Decide(tried, limit);
    }

    private (MemoryPlan, TrainingOptions) Decide(List<(MemorySettings Settings, Prediction Best)> tried, long limit)
    {
        var fitting = tried.Where(t => t.Best.Peak <= limit && KeepsLoss(t.Settings)).ToArray();
        var fastest = fitting.Length == 0 ? 0 : fitting.Min(static t => t.Best.Seconds);
        var chosen = fitting
            .Where(t => t.Best.Seconds <= fastest * (1 + Indifference))
            .OrderBy(t => (t.Settings with { Size = t.Best.Size }).Changes(options).Count)
            .Select(static t => t.Settings with { Size = t.Best.Size })
            .FirstOrDefault();
        List<MemoryPlanRow> rows = [];
        if (tried[0].Best is { Whole: { } needed } && needed > limit)
            rows.Add(new([], needed, null, Fits: false, KeepsLoss: true, IsChosen: false));
        rows.AddRange(
            tried
                .Where(t => t.Best.Peak <= limit || t.Best.Size < _given.Size || t.Settings != _given)
                .Select(t =>
                {
                    var (settings, fits) = (t.Settings with { Size = t.Best.Size }, t.Best.Peak <= limit);
                    return new MemoryPlanRow(
                        settings.Changes(options),
                        t.Best.Peak,
                        fits ? t.Best.Seconds : null,
                        fits,
                        KeepsLoss(settings),
                        settings == chosen
                    );
                })
        );
        var plan = new MemoryPlan(limit, device.Type == DeviceType.Cpu ? "main memory" : $"the memory of {device}", rows);
        return chosen is not null
            ? (plan, chosen.ApplyTo(options))
            : throw new EnvironmentException(
                $"No settings that keep the loss fit into {Figures.Bytes(limit)}. {string.Join(Environment.NewLine, plan.Lines())}"
                    + $"{Environment.NewLine}{Remedies()}"
            );
    }

    private bool KeepsLoss(MemorySettings settings) => settings.DecodeCrop == _given.DecodeCrop;

    /// <summary>What is not tried.</summary>
    private string Remedies()
    {
        List<string> others = [];
        if (options.Precision == DType.Float32.Name())
            others.Add("--precision bfloat16");
        if (options.Optimiser.Kind == OptimiserKind.Adamw && options.Lora is null)
            others.Add("--set optimiser.kind=adamw8bit");
        if (options.Averages.Count > 0)
            others.Add("--set averages=[]");
        if (_steps.Denoiser is not null && options.Lora is null && options.Model.Path is not null)
            others.Add("--lora-rank 16");
        return others.Count == 0
            ? "Raise the limit."
            : $"Raise the limit, or give options that change the run: {string.Join(", ", others)}.";
    }

    /// <summary>Alternatives to the given settings, from the least intrusive; the last changes the gradient's noise.</summary>
    private IEnumerable<MemorySettings> Alternatives()
    {
        if (_steps.Denoiser is null)
            yield break;
        var decodes = options.Objective is { NeedsDecoder: true };
        bool[] both = [false, true];
        foreach (var denoiser in _given.CheckpointActivations ? [true] : both)
        foreach (var decoder in !decodes || _given.CheckpointDecoder ? [_given.CheckpointDecoder] : both)
        foreach (var single in decodes && _given.DecodeBatch is null or > 1 ? both : [false])
        {
            var settings = _given with
            {
                CheckpointActivations = denoiser,
                CheckpointDecoder = decoder,
                DecodeBatch = single && decodes ? 1 : _given.DecodeBatch,
            };
            if (settings != _given)
                yield return settings;
        }

        if (decodes && _given.DecodeCrop is null && HalfWindow() is { } window)
            yield return _given with
            {
                DecodeCrop = window,
                DecodeBatch = 1,
            };
    }

    private int? HalfWindow()
    {
        var latent = _steps.Denoiser!.Pipeline.Autoencoder.Downsampling;
        var side = options.Data.Side / 2 / latent * latent;
        return options.Data.Buckets is null && side >= 2 * latent * Objectives.DecodeCrop.LeastSide ? side : null;
    }

    /// <summary>The largest micro-batch within a limit; the smallest if none is.</summary>
    private Prediction Largest(MemorySettings settings, TrainingBatch batch, long limit, CancellationToken cancellation)
    {
        int[] sizes = [.. Enumerable.Range(1, settings.Size).Where(n => MemorySettings.Divides(options, n))];
        // The given settings are measured as a whole if the machine has the memory, so that the plan states what they need.
        var allowed = (long)(_gauge.Read() is { } reading ? _base + (MachineShare * reading.Left) : limit);
        var most = settings == _given ? allowed : Math.Min(allowed, (long)(Doubt * limit));
        List<(int Size, long Peak, double Seconds)> measured = [(0, _base, 0)];
        long Peak(int size) => (long)Interpolated([.. measured.Select(static m => (m.Size, (double)m.Peak))], size);
        foreach (var size in sizes)
        {
            // The sizes double, but the whole batch is always among them.
            if (size != sizes[^1] && size < 2 * measured[^1].Size)
                continue;
            cancellation.ThrowIfCancellationRequested();
            if (measured.Count > 2 && Peak(size) > most)
                break;
            if (Measure(settings with { Size = size }, batch) is not var (peak, seconds))
                break;
            measured.Add((size, peak, seconds));
            if (peak > limit && settings != _given)
                break;
        }

        if (measured.Count == 1)
            return new Prediction(sizes[0], long.MaxValue, double.PositiveInfinity, null);
        var best = sizes.LastOrDefault(n => Peak(n) <= limit, sizes[0]);
        var passes = (settings with { Size = best }).Accumulate(options);
        var each = Interpolated([.. measured.Select(static m => (m.Size, m.Seconds))], best);
        return new Prediction(best, Peak(best), (passes * each) + _update, Peak(settings.Size));
    }

    /// <summary>Piecewise linear through measured sizes, of which the first is 0, and beyond the last by its last piece.</summary>
    private static double Interpolated((int Size, double Value)[] measured, int size)
    {
        var k = Array.FindLastIndex(measured, m => m.Size <= size);
        var (a, b) = k + 1 < measured.Length ? (measured[k], measured[k + 1]) : (measured[k - 1], measured[k]);
        return a.Value + ((b.Value - a.Value) * (size - a.Size) / (b.Size - a.Size));
    }

    /// <summary>Memory of weights, states and averages, and the seconds of an update.</summary>
    private void MeasureBase(TrainingBatch batch, Optimiser optimiser, WeightAverage[] averages)
    {
        _steps.Use(_given, options.Objective);
        var smallest = Enumerable.Range(1, _given.Size).First(n => MemorySettings.Divides(options, n));
        _steps.Pass(batch.Part(smallest, options.Batch.Size), Seeds(0));
        // The first update allocates the states.
        for (var k = 0; k < 2; k++)
        {
            var start = time.GetTimestamp();
            optimiser.Step(options.Optimiser.BaseRate, 1, averages);
            device.Synchronize();
            _update = time.GetElapsedTime(start).TotalSeconds;
        }

        optimiser.ZeroGrad();
        _base = _gauge.Held();
        // The copy of a checkpoint that is written beside training.
        if (device.Type == DeviceType.Cpu && CheckpointWriter.IsBeside(options.Checkpoints, device))
            _base += new CheckpointTensors(task.Network, optimiser, averages, options).ByteCount;
    }

    /// <summary>Peak of a step, and the seconds of a micro-batch; null if it does not fit into the machine.</summary>
    private (long Peak, double Seconds)? Measure(MemorySettings settings, TrainingBatch batch)
    {
        using var scope = TensorScope.Enter();
        var part = batch.Part(settings.Size, options.Batch.Size);
        try
        {
            _steps.Use(settings, Worst(options.Objective));
            var accumulates = settings.Accumulate(options) > 1;
            var held = _gauge.Held();
            var added = _gauge.Added(() =>
            {
                for (var k = 0; k < Passes; k++)
                {
                    // Gradients of earlier micro-batches are there during the next one.
                    if (!accumulates)
                        _steps.Clear();
                    _steps.Pass(part, Seeds(k));
                }
            });
            _steps.Use(settings, options.Objective);
            var start = time.GetTimestamp();
            const int Timed = 2;
            for (var k = 0; k < Timed; k++)
                _steps.Pass(part, Seeds(k));
            device.Synchronize();
            return added is { } bytes ? (held + bytes, time.GetElapsedTime(start).TotalSeconds / Timed) : null;
        }
        catch (OutOfDeviceMemoryException)
        {
            return null;
        }
        finally
        {
            _steps.Clear();
        }
    }

    /// <summary>Seeds of a late step, after all warm-ups; of the first one if that is the only one with precomputed errors.</summary>
    private StepSeeds Seeds(int trial) =>
        options.Objective?.Preference is { PrecomputesReference: true }
            ? new StepSeeds(options.Seed, 0, 0)
            : new StepSeeds(options.Seed, Math.Max(0, options.Steps - 1 - trial), 0);

    /// <summary>Losses in which every sample is active.</summary>
    private static ObjectiveOptions? Worst(ObjectiveOptions? objective) =>
        objective is null
            ? null
            : objective with
            {
                Perceptual = Open(objective.Perceptual),
                Preference = objective.Preference is { } p ? p with { Features = Open(p.Features) } : null,
            };

    private static LatentPerceptualOptions? Open(LatentPerceptualOptions? perceptual) =>
        perceptual is null ? null : perceptual with { Gate = GateKind.None, Threshold = null };

    /// <summary>Prediction of one alternative.</summary>
    /// <param name="Size">Size of the micro-batch.</param>
    /// <param name="Peak">Its peak in bytes.</param>
    /// <param name="Seconds">Seconds per optimiser step.</param>
    /// <param name="Whole">Peak of the given micro-batch; null if unknown.</param>
    private sealed record Prediction(int Size, long Peak, double Seconds, long? Whole);
}
