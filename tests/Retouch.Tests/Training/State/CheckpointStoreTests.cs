using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Tests.Training.Telemetry;
using Retouch.Training.State;

namespace Retouch.Tests.Training.State;

public sealed class CheckpointStoreTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly CheckpointStore _store;
    private readonly List<string> _skipped = [];

    public CheckpointStoreTests() => _store = new CheckpointStore(_folder.Path);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_checkpoint_survives_a_round_trip()
    {
        Assert.Null(_store.ReadNewest(_skipped.Add));
        Write(12, 2);
        var (state, path) = _store.ReadNewest(_skipped.Add)!.Value;
        Assert.Equal((12, new DataCursor(3, 12), 1.5), (state.Step, state.Cursor, state.Seconds));
        Assert.Equal(7, (int)state.Task!["evaluations"]!);
        Assert.Equal(["a.bin", "b.bin"], state.Files.Keys.Order());
        Assert.Equal(_store.FolderOf(12), path);
        Assert.Empty(_skipped);
    }

    [Fact]
    public void The_newest_checkpoints_are_kept()
    {
        foreach (var step in new long[] { 2, 4, 6, 8 })
            Write(step, 2);
        Assert.Equal([6, 8], _store.Steps);
        Write(10, 1);
        Assert.Equal([10], _store.Steps);
    }

    [Theory]
    [InlineData("byte")]
    [InlineData("cut")]
    [InlineData("file")]
    [InlineData("state")]
    [InlineData("half a state")]
    [InlineData("another version")]
    [InlineData("another step")]
    [InlineData("no files named")]
    public void A_damaged_checkpoint_falls_back_to_the_previous_one(string damage)
    {
        Write(2, 3);
        Write(4, 3);
        Damage(_store.FolderOf(4), damage);
        var (state, _) = _store.ReadNewest(_skipped.Add)!.Value;
        Assert.Equal(2, state.Step);
        Assert.Contains("step-00000004", Assert.Single(_skipped));
    }

    [Fact]
    public void Without_an_intact_checkpoint_resuming_fails()
    {
        Write(2, 3);
        Write(4, 3);
        Damage(_store.FolderOf(2), "byte");
        Damage(_store.FolderOf(4), "state");
        var message = Assert.Throws<InputException>(() => _store.ReadNewest(_skipped.Add)).Message;
        Assert.Contains("step-00000002: a.bin does not have the hash", message);
        Assert.Contains("step-00000004", message);
    }

    [Fact]
    public void Damaged_checkpoints_do_not_displace_intact_ones()
    {
        foreach (var step in new long[] { 2, 4, 6 })
            Write(step, 3);
        Damage(_store.FolderOf(4), "byte");
        Damage(_store.FolderOf(6), "byte");
        Write(3, 2); // the run resumed at step 2 and was interrupted at 3
        Assert.Equal([2, 3], _store.Steps);
    }

    [Fact]
    public void A_rewritten_step_replaces_the_damaged_one()
    {
        Write(4, 2);
        Damage(_store.FolderOf(4), "byte");
        Write(4, 2);
        Assert.Equal(4, _store.ReadNewest(_skipped.Add)!.Value.State.Step);
        Assert.Empty(_skipped);
    }

    [Fact]
    public void Incomplete_folders_are_removed()
    {
        Write(2, 2);
        var stray = _store.FolderOf(4) + ".1234abcd.tmp";
        Directory.CreateDirectory(stray);
        File.WriteAllText(Path.Combine(stray, "a.bin"), "half");
        Assert.Equal([2], _store.Steps);
        Assert.Equal(2, _store.ReadNewest(_skipped.Add)!.Value.State.Step);
        Write(6, 2);
        Assert.False(Directory.Exists(stray));
    }

    [Fact]
    public void A_failed_write_keeps_earlier_checkpoints_without_leftovers()
    {
        Write(2, 1);
        foreach (
            var failure in new Exception[]
            {
                new IOException("No space left on device", 28),
                new EnvironmentException("Cannot write 'a.bin': no space is left on the disk"),
            }
        )
        {
            var message = Assert
                .Throws<EnvironmentException>(() =>
                    _store.Write(
                        State(4),
                        1,
                        path =>
                        {
                            File.WriteAllText(Path.Combine(path, "a.bin"), "half");
                            throw failure;
                        }
                    )
                )
                .Message;
            Assert.Contains("step 4", message);
            Assert.Contains("no space is left", message);
            Assert.Contains("--resume", message);
        }

        Assert.Equal([_store.FolderOf(2)], Directory.EnumerateFileSystemEntries(Path.Combine(_folder.Path, "checkpoints")));
        Assert.Equal(2, _store.ReadNewest(_skipped.Add)!.Value.State.Step);
    }

    private static TrainingState State(long step) =>
        new()
        {
            Step = step,
            Cursor = new DataCursor(3, (int)step),
            Seconds = 1.5,
            Task = new System.Text.Json.Nodes.JsonObject { ["evaluations"] = 7 },
        };

    private static void Damage(string path, string how)
    {
        var (data, state) = (Path.Combine(path, "a.bin"), Path.Combine(path, "state.json"));
        void Replace(string a, string b)
        {
            var text = File.ReadAllText(state);
            Assert.Contains(a, text);
            File.WriteAllText(state, text.Replace(a, b, StringComparison.Ordinal));
        }

        switch (how)
        {
            case "byte":
                File.WriteAllText(data, "x" + File.ReadAllText(data)[1..]);
                break;
            case "cut":
                File.WriteAllText(data, File.ReadAllText(data)[..^1]);
                break;
            case "file":
                File.Delete(data);
                break;
            case "state":
                File.Delete(state);
                break;
            case "half a state":
                File.WriteAllText(state, File.ReadAllText(state)[..40]);
                break;
            case "another version":
                Replace("\"version\": 1", "\"version\": 3");
                break;
            case "another step":
                Replace("\"step\": 4", "\"step\": 5");
                break;
            case "no files named":
                Replace("\"files\"", "\"fails\"");
                break;
            default:
                throw new ArgumentException(how);
        }
    }

    private void Write(long step, int keep) =>
        _store.Write(
            State(step),
            keep,
            path =>
            {
                File.WriteAllText(Path.Combine(path, "a.bin"), $"first file of {step}");
                File.WriteAllText(Path.Combine(path, "b.bin"), $"second file of {step}");
                return new[] { "a.bin", "b.bin" }.ToDictionary(static n => n, n => CheckpointStore.Hash(Path.Combine(path, n)));
            }
        );
}
