using System.Globalization;
using Retouch.Fuzz;

// Memory of large tensors is measured with cached blocks.
Retouch.Torch.Devices.HostBlocks.Reuse(true);

// Retouch.Fuzz ROOT INPUTS [SEED [TARGET]]: number of inputs for each reader, or for one.
var root = args[0];
var count = long.Parse(args[1], CultureInfo.InvariantCulture);
var seed = args.Length > 2 ? ulong.Parse(args[2], CultureInfo.InvariantCulture) : 1;
var scratch = Directory
    .CreateDirectory(
        Path.Combine(
            Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath(),
            string.Create(CultureInfo.InvariantCulture, $"retouch-fuzz-{Environment.ProcessId}")
        )
    )
    .FullName;
var (failed, inputs) = (0, 0L);
try
{
    Console.WriteLine(
        $"{"reader", -28}{"inputs", 10}{"accepted", 10}{"refused", 10}{"defects", 9}{"slowest", 11}{"most memory", 13}{"seconds", 9}"
    );
    foreach (var target in FuzzTarget.All(Path.Combine(root, "tests", "goldens")).Where(t => args.Length < 4 || t.Name == args[3]))
    {
        var result = new Fuzzer(TimeProvider.System, scratch, Path.Combine(root, "artifacts", "fuzz"), TimeSpan.FromSeconds(60)).Run(
            target,
            seed,
            0,
            count / target.Share
        );
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{result.Target, -28}{result.Inputs, 10}{result.Accepted, 10}{result.Refused, 10}{result.Findings.Count, 9}"
                    + $"{result.Slowest * 1000, 8:0} "
                    + $"ms{result.MostAllocated / 1048576.0, 9:0.0} MiB{result.Seconds, 9:0}"
            )
        );
        foreach (var finding in result.Findings)
            Console.WriteLine(finding);
        inputs += result.Inputs;
        failed += result.Findings.Count;
        if (result.Hangs)
            break;
    }

    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{inputs} inputs, {failed} defects, seed {seed}"));
}
finally
{
    Directory.Delete(scratch, recursive: true);
}

return failed == 0 ? 0 : 1;
