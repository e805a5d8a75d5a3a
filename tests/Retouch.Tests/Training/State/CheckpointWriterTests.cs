using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Optim;
using Retouch.Torch.Safetensors;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training.State;

/// <summary>Checkpoints that are written beside training.</summary>
[Collection(LiveTensorCollection.Name)]
public sealed class CheckpointWriterTests : IDisposable
{
    private const string Beside = """{ "checkpoints.background": true }""";

    private readonly TemporaryFolder _folder = new();
    private readonly LinearTask _task = new([1, 2]);
    private readonly List<string> _notes = [];

    public void Dispose()
    {
        _task.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("adamw")]
    [InlineData("adamw8bit")]
    [InlineData("prodigy")]
    public void They_equal_those_that_training_waits_for(string optimiser)
    {
        Train("waited", $$"""{ "optimiser.kind": "{{optimiser}}" }""");
        Train("beside", $$"""{ "optimiser.kind": "{{optimiser}}", {{Beside[1..]}}""");
        var (expected, found) = (TinyRun.WeightFiles(_folder["waited"]), TinyRun.WeightFiles(_folder["beside"]));
        Assert.Equal(expected.Keys.Order(), found.Keys.Order());
        Assert.Contains(expected.Keys, static k => k.EndsWith("average-0.9.safetensors", StringComparison.Ordinal));
        foreach (var (file, bytes) in expected)
            Assert.True(bytes.AsSpan().SequenceEqual(found[file]), $"{file} differs");
        Assert.Equal(TinyRun.Metrics(_folder["waited"]), TinyRun.Metrics(_folder["beside"]));
        var store = new CheckpointStore(_folder["beside"]);
        Assert.Equal(9, store.ReadNewest(static m => Assert.Fail(m))!.Value.State.Step);
    }

    [Fact]
    public void A_failure_ends_the_run_and_keeps_earlier_checkpoints()
    {
        var store = new CheckpointStore(_folder["run"]);
        void Obstruct(TrainingProgress progress)
        {
            if (progress.Step == 5)
                File.WriteAllText(store.FolderOf(8), "");
        }

        var error = Assert.Throws<EnvironmentException>(() => Train("run", Beside, Obstruct));
        Assert.Contains("The checkpoint of step 8 could not be written", error.Message, StringComparison.Ordinal);
        Assert.True(error.Message.Contains("a file with this name exists", StringComparison.Ordinal), error.Message);
        File.Delete(store.FolderOf(8));
        Assert.Equal(4, store.ReadNewest(static m => Assert.Fail(m))!.Value.State.Step);
        Assert.DoesNotContain(Directory.EnumerateDirectories(Path.Combine(_folder["run"], "checkpoints")), static d => d.EndsWith(".tmp"));
    }

    [Fact]
    public void The_copy_keeps_the_values_of_its_step()
    {
        using var optimiser = new AdamW(_task.Network.Trained, new());
        using (var copy = Tensors(optimiser).Copy())
        {
            using (Autograd.NoGrad())
                _task.Network.All[0].Value.ZeroInPlace();
            var hashes = copy.Write(Directory.CreateDirectory(_folder["copy"]).FullName);
            Assert.All(hashes, h => Assert.Equal(CheckpointStore.Hash(_folder[$"copy/{h.Key}"]), h.Value));
        }

        using var scope = TensorScope.Enter();
        using var file = SafetensorsFile.Open(_folder["copy/weights.safetensors"]);
        Assert.Equal([1f, 2], file.Read("weight").ToArray<float>());
        Assert.Equal([0f, 0], _task.Weight);
    }

    [Fact]
    public void An_error_message_names_the_checkpoint_that_is_being_written()
    {
        using var optimiser = new AdamW(_task.Network.Trained, new());
        using var writer = Writer(optimiser, static () => null);
        Assert.Equal("No checkpoint has been written yet.", writer.Kept("RUN"));
        writer.Write(State(3), _notes.Add);
        Assert.Contains("The checkpoint of step 3 is kept", writer.Kept("RUN"), StringComparison.Ordinal);
        writer.Write(State(5), _notes.Add);
        Assert.Contains("The checkpoint of step 5, from before that, is kept", writer.KeptBefore("RUN"), StringComparison.Ordinal);
        Assert.Empty(_notes);
    }

    [Fact]
    public void Without_memory_for_a_copy_training_waits()
    {
        using var optimiser = new AdamW(_task.Network.Trained, new());
        var needed = Tensors(optimiser).ByteCount;
        Assert.Equal(2 * sizeof(float), needed - optimiser.State().Sum(static t => t.Value.Count * t.Value.DType.Size()));
        using var writer = Writer(optimiser, () => (2 * needed) - 1);
        foreach (var step in new long[] { 3, 4 })
        {
            writer.Write(State(step), _notes.Add);
            Assert.Equal(step, new CheckpointStore(_folder["run"]).Steps[^1]);
        }

        Assert.StartsWith("Training waits for its checkpoints: a copy of ", Assert.Single(_notes), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "cpu", false)]
    [InlineData(true, "cpu", true)]
    [InlineData(null, "cuda", true)]
    [InlineData(false, "cuda", false)]
    public void By_default_only_GPUs_go_on(bool? given, string device, bool expected) =>
        Assert.Equal(expected, CheckpointWriter.IsBeside(new() { Background = given }, Device.Parse(device)));

    private static TrainingState State(long step) =>
        new()
        {
            Step = step,
            Cursor = new DataCursor(0, 0),
            Seconds = 0,
            Options = [],
        };

    private CheckpointTensors Tensors(Optimiser optimiser) => new(_task.Network, optimiser, [], new TrainingOptions());

    private CheckpointWriter Writer(Optimiser optimiser, Func<long?> free) =>
        new(new CheckpointStore(_folder["run"]), Tensors(optimiser), new() { Background = true }, Device.Cpu) { Free = free };

    private void Train(string name, string set, Action<TrainingProgress>? onStep = null)
    {
        using var run = TrainingRun.Start(TinyRun.Denoiser("{}", set: set), _folder[name], TimeProvider.System);
        run.Train(new ProgressProbe(onStep), CancellationToken.None);
    }
}
