using System.Text.Json.Nodes;
using Retouch.Data;
using Retouch.Images;
using Retouch.Objectives;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Training;
using Retouch.Training.HeldOut;
using Retouch.Training.Tasks;

namespace Retouch.Tests.Training;

/// <summary>Fits w·x to y: a loss with the known gradient 2·mean((w·x − y)·x).</summary>
internal sealed class LinearTask : ITrainingTask
{
    private readonly Parameter _weight;

    public LinearTask(float[] start)
    {
        _weight = Network.Root.Parameter("weight", [start.Length], static (tensor, _) => tensor.ZeroInPlace());
        using var generator = Generator.Create(Device.Cpu, 0);
        Network.Initialise(generator, Device.Cpu);
        using var scope = TensorScope.Enter();
        _weight.Value.CopyInPlace(Tensor.From(start));
    }

    public ParameterStore Network { get; } = new();

    /// <summary>Step (from 0) that adds √(w − w), which is 0 with an unbounded derivative.</summary>
    public long? InfiniteSlopeAt { get; init; }

    public float[] Weight => _weight.Value.ToArray<float>();

    public IPictureSource Accept(IPictureSource source, Action<string> note) => source;

    public void Prepare(
        IReadOnlyList<IPictureSource> sources,
        Action<string> note,
        Action<int, int>? progress,
        CancellationToken cancellation
    ) { }

    public StepLoss Evaluate(TrainingBatch batch, StepSeeds seeds)
    {
        var (x, y) = (batch.Images!.Narrow(1, 0, _weight.Count), batch.Images!.Narrow(1, _weight.Count, 1).Squeeze(1));
        var error = (x.Matmul(_weight.Value) - y).Square();
        var total = error.Mean();
        if (seeds.Step == InfiniteSlopeAt)
            total = total + (_weight.Value - _weight.Value.Detach()).Sqrt().Sum();
        return new StepLoss(
            new LossTerms(
                total,
                [new LossTerm("square", total.Item(), total.Item(), 1)],
                new Dictionary<string, HealthFigure> { ["health/steps"] = new(HealthKind.Ratio, seeds.Step, 1) }
            ),
            error.Detach(),
            x.Select(1, 0).Detach()
        );
    }

    public IReadOnlyList<string> Terms => ["square"];

    public IReadOnlyDictionary<string, HealthFigure> Validate(TrainingBatch batch, HeldOutDraws draws) =>
        throw new NotSupportedException("This task has no held-out samples.");

    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(
            Path.Combine(folder, "weight.txt"),
            string.Join(' ', Weight.Select(static w => w.ToString("R", System.Globalization.CultureInfo.InvariantCulture)))
        );
    }

    public JsonNode? SaveState() => null;

    public void LoadState(JsonNode? state)
    {
        // No state.
    }

    public void Dispose() => Network.Dispose();
}

/// <summary>A white square.</summary>
internal sealed class WhiteGrid : ISampleGrid
{
    public Picture Draw(CancellationToken cancellation) => Picture.Filled(4, 4, Rgb.White);
}

/// <summary>Rows (x, y) in order, in batches, repeatedly.</summary>
internal sealed class Rows(float[][] rows, int batch, DataCursor start, CancellationTokenSource? cancelInside = null) : IBatchSource
{
    private int _at = start.Position;

    public TimeSpan Waited => TimeSpan.FromSeconds(_at);

    public TrainingBatch Next(CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var chosen = Enumerable.Range(0, batch).Select(k => (_at + k) % rows.Length).ToArray();
        _at = (_at + batch) % rows.Length;
        cancelInside?.Cancel();
        var values = Tensor.From(chosen.SelectMany(i => rows[i]).ToArray()).Reshape([batch, rows[0].Length]);
        return new TrainingBatch(
            values,
            null,
            [.. chosen.Select(static i => new Sample($"row {i}", null, null))],
            new FrameRecord[batch],
            new DataCursor(0, _at)
        );
    }

    public void Dispose()
    {
        // Owns nothing.
    }
}
