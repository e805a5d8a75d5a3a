using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace Retouch.Cli.Tests;

/// <summary><c>train --nproc</c>: processes that train together, and their ends.</summary>
public sealed partial class ScalingTests : IDisposable
{
    private const int Killed = 9;
    private const int Terminated = 15;

    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-scaling-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string At(string name) => Path.Combine(_folder, name);

    /// <summary>Options of a small autoencoder: 4 micro-batches of 2 pictures per step.</summary>
    private string Options(int steps, string shard = "none")
    {
        var path = At($"options-{steps}.json");
        File.WriteAllText(
            path,
            $$"""
            { "task": "autoencoder", "seed": 3, "steps": {{steps}}, "averages": [ { "decay": 0.9 } ], "samples": { "every": 0, "count": 1 },
              "model": { "config": { "_class_name": "AutoencoderKL", "block_out_channels": [8, 16],
                "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
                "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"],
                "latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 4 } },
              "data": { "sceneCount": 23, "size": 16, "flip": 0.5 }, "batch": { "size": 2, "accumulate": 4 },
              "optimiser": { "schedule": { "shape": "constant" } },
              "checkpoints": { "every": 3, "keep": 2 }, "log": { "tensorBoard": false }, "distributed": { "shard": "{{shard}}" } }
            """
        );
        return path;
    }

    private static string[] Processes(int count) => ["--nproc", count.ToString(CultureInfo.InvariantCulture)];

    private static readonly Dictionary<string, string?> OneThread = new() { ["OMP_NUM_THREADS"] = "1" };

    private JsonObject[] Metrics(string run) =>
        [.. File.ReadLines(At($"{run}/metrics.jsonl")).Select(static line => JsonNode.Parse(line)!.AsObject())];

    private static byte[][] Models(string run) =>
        [
            .. Directory
                .EnumerateFiles(run, "*.safetensors", SearchOption.AllDirectories)
                .Where(static f => !f.Contains("checkpoints", StringComparison.Ordinal))
                .Order(StringComparer.Ordinal)
                .Select(File.ReadAllBytes),
        ];

    /// <summary>Process ids by rank of the processes that a launcher has started.</summary>
    private static Dictionary<int, int> RanksOf(int launcher)
    {
        Dictionary<int, int> found = [];
        foreach (var entry in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(entry), CultureInfo.InvariantCulture, out var id))
                continue;
            try
            {
                var status = File.ReadLines($"{entry}/status").First(static l => l.StartsWith("PPid:", StringComparison.Ordinal));
                if (int.Parse(status[5..], CultureInfo.InvariantCulture) != launcher)
                    continue;
                var rank = File.ReadAllText($"{entry}/environ")
                    .Split('\0')
                    .FirstOrDefault(static v => v.StartsWith("RANK=", StringComparison.Ordinal));
                if (rank is not null)
                    found[int.Parse(rank[5..], CultureInfo.InvariantCulture)] = id;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A process that has ended.
            }
        }

        return found;
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);

    private static void WaitFor(Func<bool> condition)
    {
        var start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > TimeSpan.FromMinutes(2))
                throw new TimeoutException("The condition did not occur within 2 minutes.");
            Thread.Sleep(20);
        }
    }

    /// <summary>Starts a run of two processes, sends a signal to one of them (or to the launcher) after a checkpoint and a number of steps,
    /// and waits for the end.</summary>
    private (int ExitCode, string Error) Interrupted(string run, int? rank, int signal, int after, string shard = "none")
    {
        using var process = RetouchProcess.Start(
            ["train", "--options", Options(2000, shard), "--output", At(run), .. Processes(2)],
            OneThread
        );
        var error = process.StandardError.ReadToEndAsync();
        Dictionary<int, int> ranks = [];
        WaitFor(() => process.HasExited || (ranks = RanksOf(process.Id)).Count == 2);
        WaitFor(() =>
            process.HasExited
            || (
                Directory.Exists(At($"{run}/checkpoints"))
                && Directory.EnumerateDirectories(At($"{run}/checkpoints"), "step-*").Any()
                && File.ReadLines(At($"{run}/metrics.jsonl")).Count() >= after
            )
        );
        Assert.False(process.HasExited, process.HasExited ? error.Result : "");
        Assert.Equal(0, Kill(rank is { } r ? ranks[r] : process.Id, signal));
        var start = Stopwatch.GetTimestamp();
        RetouchProcess.Finish(process);
        Assert.InRange(Stopwatch.GetElapsedTime(start), TimeSpan.Zero, TimeSpan.FromSeconds(60));
        Assert.All(ranks.Values, static id => Assert.False(Directory.Exists($"/proc/{id}") && !IsZombie(id)));
        return (process.ExitCode, error.Result);
    }

    private static bool IsZombie(int id) =>
        File.ReadLines($"/proc/{id}/status").Any(static l => l.StartsWith("State:", StringComparison.Ordinal) && l.Contains('Z'));

    [Fact]
    [Trait("speed", "slow")]
    public void Two_processes_train_as_one_does()
    {
        var alone = RetouchProcess.Run(["train", "--options", Options(4), "--output", At("alone")], OneThread);
        Assert.Equal((0, ""), (alone.ExitCode, alone.ExitCode == 0 ? "" : alone.Error));
        var shared = RetouchProcess.Run(["train", "--options", Options(4), "--output", At("shared"), "--json", .. Processes(2)], OneThread);
        Assert.Equal((0, ""), (shared.ExitCode, shared.ExitCode == 0 ? "" : shared.Error));
        // One result and one progress, of rank 0.
        Assert.Equal(4, JsonNode.Parse(shared.Out)!["steps"]!.GetValue<int>());
        Assert.Single(shared.Error.Split('\n'), static l => l.StartsWith("steps ", StringComparison.Ordinal));
        Assert.Contains("parallel 2 processes, rendezvous at 127.0.0.1:", shared.Error);
        foreach (var (a, b) in Metrics("alone").Zip(Metrics("shared")))
        {
            foreach (var name in (string[])["step", "loss/total", "gradient/norm"])
            {
                var (x, y) = (a[name]!.GetValue<double>(), b[name]!.GetValue<double>());
                Assert.True(Math.Abs(x - y) <= 1e-4 * Math.Abs(x), $"{name}: {x} and {y}");
            }
        }
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(0, 4, "none")]
    [InlineData(1, 6, "states")]
    public void The_end_of_a_killed_rank_ends_all_and_the_run_resumes_to_the_same_bytes(int rank, int after, string shard)
    {
        var (code, error) = Interrupted("killed", rank, Killed, after, shard);
        Assert.Equal(4, code);
        Assert.Contains($"error: Rank {rank} was killed (signal 9).", error);
        Assert.Contains("is kept; --resume ", error);
        var step = Metrics("killed").Length + 3;
        string[] steps = ["--steps", step.ToString(CultureInfo.InvariantCulture)];
        var resumed = RetouchProcess.Run(["train", "--resume", At("killed"), .. steps, .. Processes(2)], OneThread);
        Assert.Equal((0, ""), (resumed.ExitCode, resumed.ExitCode == 0 ? "" : resumed.Error));
        var whole = RetouchProcess.Run(
            ["train", "--options", Options(2000, shard), "--output", At("whole"), .. steps, .. Processes(2)],
            OneThread
        );
        Assert.Equal((0, ""), (whole.ExitCode, whole.ExitCode == 0 ? "" : whole.Error));
        var (expected, actual) = (Models(At("whole")), Models(At("killed")));
        Assert.Equal(2, expected.Length);
        Assert.Equal(expected, actual);
    }

    [Fact]
    [Trait("speed", "slow")]
    public async Task A_killed_rank_is_started_again_with_the_others()
    {
        const int Steps = 30;
        string[] train = ["train", "--options", Options(Steps), .. Processes(2)];
        using var process = RetouchProcess.Start([.. train, "--output", At("killed"), "--max-restarts", "1"], OneThread);
        var error = process.StandardError.ReadToEndAsync();
        Dictionary<int, int> ranks = [];
        WaitFor(() => process.HasExited || (ranks = RanksOf(process.Id)).Count == 2);
        WaitFor(() => process.HasExited || (Directory.Exists(At("killed/checkpoints")) && Metrics("killed").Length >= 4));
        Assert.Equal(0, Kill(ranks[1], Killed));
        RetouchProcess.Finish(process);
        var written = await error;
        Assert.True(process.ExitCode == 0, written);
        Assert.Contains("note: All 2 processes start again from the last checkpoint (1 of 1 restarts).", written);
        Assert.Equal(Steps, Metrics("killed").Length);
        var whole = RetouchProcess.Run([.. train, "--output", At("whole")], OneThread);
        Assert.True(whole.ExitCode == 0, whole.Error);
        Assert.Equal(Models(At("whole")), Models(At("killed")));
    }

    [Fact]
    [Trait("speed", "slow")]
    public async Task A_run_continues_with_the_processes_that_can_share_its_steps()
    {
        var alone = RetouchProcess.Run(["train", "--options", Options(4), "--output", At("run")], OneThread);
        Assert.True(alone.ExitCode == 0, alone.Error);
        var port = 29000 + (Environment.ProcessId % 900);
        Process Start(int rank, int size, string restarts, params string[] arguments) =>
            RetouchProcess.Start(
                ["train", .. arguments],
                new(OneThread)
                {
                    ["RANK"] = $"{rank}",
                    ["WORLD_SIZE"] = $"{size}",
                    ["MASTER_ADDR"] = "127.0.0.1",
                    ["MASTER_PORT"] = $"{port}",
                    ["TORCHELASTIC_RESTART_COUNT"] = restarts,
                }
            );
        // 4 micro-batches per step: two of three processes.
        Process[] three = [.. Enumerable.Range(0, 3).Select(rank => Start(rank, 3, "0", "--resume", At("run"), "--steps", "6"))];
        var reading = Task.WhenAll(three.Select(static p => p.StandardError.ReadToEndAsync()));
        Array.ForEach(three, RetouchProcess.Finish);
        var errors = await reading;
        Assert.True(Array.TrueForAll(three, static p => p.ExitCode == 0), string.Join('\n', errors));
        Array.ForEach(three, static p => p.Dispose());
        Assert.Contains("parallel 2 processes, rendezvous at", errors[0]);
        Assert.Contains("note: Rank 2 of 3 is left out: the 4 micro-batches of a step are shared by 2 of the processes.", errors[2]);
        Assert.Equal(6, Metrics("run").Length);

        // The same command again after a failure, with a single process left.
        using var last = Start(0, 1, "1", "--options", Options(4), "--output", At("run"));
        var error = last.StandardError.ReadToEndAsync();
        RetouchProcess.Finish(last);
        Assert.True(last.ExitCode == 0, await error);
        Assert.Equal(6, Metrics("run").Length);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_signal_to_the_launcher_stops_all_after_a_checkpoint()
    {
        var (code, error) = Interrupted("stopped", null, Terminated, 4);
        Assert.Equal(130, code);
        Assert.Contains("Interrupted after step ", error);
        var last = Metrics("stopped").Length;
        Assert.True(Directory.Exists(At(string.Create(CultureInfo.InvariantCulture, $"stopped/checkpoints/step-{last:D8}"))));
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Two_processes_sample_the_pictures_of_one()
    {
        var denoiser = At("denoiser.json");
        var trained = RetouchProcess.Run(["train", "--options", Options(1), "--output", At("autoencoder")], OneThread);
        Assert.Equal((0, ""), (trained.ExitCode, trained.ExitCode == 0 ? "" : trained.Error));
        File.WriteAllText(
            denoiser,
            $$"""
            { "task": "denoiser", "steps": 1, "averages": [], "samples": { "every": 0 }, "objective": {},
              "model": { "autoencoder": "{{At("autoencoder/model")}}", "scheduler": { "_class_name": "DDIMScheduler" },
                "config": { "_class_name": "DiTTransformer2DModel", "num_attention_heads": 2, "attention_head_dim": 8, "in_channels": 4,
                  "out_channels": 4, "num_layers": 1, "sample_size": 8, "num_embeds_ada_norm": 10, "patch_size": 2,
                  "norm_num_groups": 1 } },
              "data": { "sceneCount": 11, "size": 16 } }
            """
        );
        trained = RetouchProcess.Run(["train", "--options", denoiser, "--output", At("run")], OneThread);
        Assert.Equal((0, ""), (trained.ExitCode, trained.ExitCode == 0 ? "" : trained.Error));
        RetouchProcess.Outcome Sample(string folder, params string[] more) =>
            RetouchProcess.Run(
                ["sample", "--model", At("run/model"), "--output", At(folder), "--steps", "2", "--batch-size", "2", "--json", .. more],
                OneThread
            );
        void Done(RetouchProcess.Outcome outcome) => Assert.Equal((0, ""), (outcome.ExitCode, outcome.ExitCode == 0 ? "" : outcome.Error));
        Done(Sample("alone", "--count", "11"));
        // One result, of rank 0.
        var shared = Sample("shared", ["--count", "7", .. Processes(2)]);
        Done(shared);
        Assert.Equal(7, JsonNode.Parse(shared.Out)!["count"]!.GetValue<int>());
        Assert.Equal(7, File.ReadLines(At("shared/metadata.jsonl")).Count());
        // Another number of processes continues, in the middle of a batch.
        Done(Sample("shared", ["--count", "11", "--resume", .. Processes(3)]));
        foreach (var file in Directory.GetFiles(At("alone")).Select(f => Path.GetFileName(f)!))
            Assert.True(File.ReadAllBytes(At($"alone/{file}")).AsSpan().SequenceEqual(File.ReadAllBytes(At($"shared/{file}"))), file);
        var refused = Sample("shared", ["--count", "11", .. Processes(2)]);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("contains an earlier run", refused.Error, StringComparison.Ordinal);
        // Models that are measured are sampled by all processes, too.
        string[] compare = ["compare", At("run/model"), At("shared"), "--reference", At("alone"), "--metrics", "spectrum", "--json"];
        string[] samples = ["--samples", "37", "--steps", "2"];
        var expected = RetouchProcess.Run([.. compare, .. samples], OneThread);
        Done(expected);
        var found = RetouchProcess.Run([.. compare, .. samples, .. Processes(2)], OneThread);
        Assert.Equal((0, expected.Out), (found.ExitCode, found.Out));
        Assert.Single(found.Error.Split('\n'), static l => l.StartsWith("sampling 37 pictures", StringComparison.Ordinal));
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("--nproc 0", null, "--nproc is 0; it must be from 1 to 1024.")]
    [InlineData(
        "--nproc 2",
        "RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=1",
        "This process is already one of 2, started by a launcher"
    )]
    [InlineData("", "RANK=0 WORLD_SIZE=2", "The environment variable MASTER_ADDR is missing")]
    [InlineData("--nproc 3", null, "batch.accumulate is 4, which cannot be divided among 3 processes")]
    [InlineData("--max-restarts 2", null, "--max-restarts needs --nproc 2 or more")]
    [InlineData(
        "",
        "RANK=1 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=1 RETOUCH_RENDEZVOUS_TIMEOUT=2",
        "got no answer of rank 0 at 127.0.0.1:1"
    )]
    public void Wrong_launches_are_errors(string arguments, string? variables, string message)
    {
        var environment = (variables?.Split(' ') ?? [])
            .Select(static v => v.Split('='))
            .ToDictionary(static v => v[0], static v => (string?)v[1]);
        var outcome = RetouchProcess.Run(
            ["train", "--options", Options(4), "--output", At("run"), .. arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries)],
            environment
        );
        Assert.Contains(message, outcome.Error);
        Assert.InRange(outcome.ExitCode, 2, 4);
        Assert.False(Directory.Exists(At("run")));
    }
}
