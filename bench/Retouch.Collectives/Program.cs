using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Retouch.Torch;
using Retouch.Training.Distributed;

// Retouch.Collectives [PROCESSES] [REPEATS]: seconds of the operations between processes that a training step consists of, one line of JSON
// per operation and size, for bench/step-model.py. Started by torchrun, srun or mpirun it measures their processes; otherwise PROCESSES
// (default 2) threads of this one, over the loopback interface.
var processes = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 2;
var repeats = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 15;
long[] sizes = [1 << 10, 1 << 16, 1 << 20, 1 << 22, 25 << 20];
var time = TimeProvider.System;

if (LaunchEnvironment.Of(Environment.GetEnvironmentVariable) is { } launch)
{
    Measure(launch);
    return;
}

using (var listener = new TcpListener(IPAddress.Loopback, 0))
{
    listener.Start();
    var port = ((IPEndPoint)listener.LocalEndpoint).Port;
    listener.Stop();
    Thread[] threads =
    [
        .. Enumerable.Range(0, processes).Select(rank => new Thread(() => Measure(new(rank, processes, rank, "127.0.0.1", port)))),
    ];
    Array.ForEach(threads, static t => t.Start());
    Array.ForEach(threads, static t => t.Join());
}

void Measure(LaunchEnvironment place)
{
    using var scope = TensorScope.Enter();
    using var world = World.Join(place, WorldLimits.Default, time);
    void Report(string operation, long bytes, Action action)
    {
        List<double> seconds = [];
        for (var k = -2; k < repeats; k++)
        {
            using var inner = TensorScope.Enter();
            world.Barrier("measure");
            var start = time.GetTimestamp();
            action();
            if (k >= 0)
                seconds.Add(time.GetElapsedTime(start).TotalSeconds);
        }

        seconds.Sort();
        if (world.IsMain)
            Console.WriteLine(
                JsonSerializer.Serialize(
                    new
                    {
                        operation,
                        processes = world.Size,
                        bytes,
                        seconds = seconds[repeats / 2],
                    }
                )
            );
    }

    // The states, flags and metrics of a step, as the trainer exchanges them.
    var text = new string('x', 2000);
    Report(
        "control",
        text.Length,
        () =>
        {
            world.Enter("step 1, start");
            world.Any("measure", false, false);
            world.Enter("step 1, waiting for data");
            world.Enter("step 1, computing");
            world.Enter("step 1, sum of gradients");
            world.Barrier("measure");
            world.Gather("measure", text);
        }
    );
    foreach (var bytes in sizes)
    {
        var parameter = Ops.Ones([bytes / sizeof(float)]);
        parameter.RequiresGrad = true;
        using (var buckets = world.Buckets([parameter]))
            Report(
                "all-reduce",
                bytes,
                () =>
                {
                    buckets.Arm();
                    buckets.Flush();
                    buckets.Finish();
                }
            );
        // Of all processes together.
        var part = Ops.Ones([Math.Max(1, bytes / sizeof(float) / world.Size)]);
        Report("all-gather", bytes, () => world.Gather("measure", part));
    }
}
