using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Fuzz;

/// <summary>Result for one reader.</summary>
/// <param name="Target">Name of the reader.</param>
/// <param name="Inputs">Number of inputs.</param>
/// <param name="Accepted">Number of accepted inputs.</param>
/// <param name="Refused">Number of inputs rejected with a user error.</param>
/// <param name="Slowest">Longest time of an input in seconds.</param>
/// <param name="MostAllocated">Largest allocation of an input in bytes, tensors included.</param>
/// <param name="Seconds">Total time in seconds.</param>
/// <param name="Hangs">Whether the last input did not end: its thread is still running, and no more inputs were read.</param>
/// <param name="Findings">Descriptions of defects, at most ten.</param>
public sealed record FuzzResult(
    string Target,
    long Inputs,
    long Accepted,
    long Refused,
    double Slowest,
    long MostAllocated,
    double Seconds,
    bool Hangs,
    IReadOnlyList<string> Findings
);

/// <summary>
/// Runs readers on mutated files. A defect is any exception other than an input or usage error, an input that takes more than two
/// seconds (twice in a row, since a busy machine delays any), one that allocates more than 64 MiB and a hundred times its length, and one
/// that does not end. Inputs are read on a separate thread.
/// </summary>
/// <param name="time">Clock.</param>
/// <param name="scratch">Folder for inputs; an in-memory file system is fastest.</param>
/// <param name="findings">Folder for inputs with defects.</param>
/// <param name="patience">Timeout of an input.</param>
public sealed class Fuzzer(TimeProvider time, string scratch, string findings, TimeSpan patience)
{
    private const double MostSeconds = 2;
    private const long FreeBytes = 64 << 20;
    private const long BytesPerByte = 100;
    private const int MostFindings = 10;

    /// <summary>Runs inputs number <paramref name="from"/> to <paramref name="from"/> + <paramref name="count"/> − 1 of a reader.</summary>
    public FuzzResult Run(FuzzTarget target, ulong seed, long from, long count)
    {
        ArgumentNullException.ThrowIfNull(target);
        var folder = Directory.CreateDirectory(Path.Combine(scratch, FileName(target))).FullName;
        var (tally, begin) = (new Tally(), time.GetTimestamp());
        tally.Begin(from, [], begin);
        var worker = new Thread(() => Work(target, new Mutator(target.Seeds, seed), folder, from, count, tally))
        {
            IsBackground = true,
            Name = target.Name,
        };
        worker.Start();
        while (!worker.Join(TimeSpan.FromMilliseconds(100)))
        {
            var (number, input, start) = tally.Current;
            if (time.GetElapsedTime(start) > patience)
            {
                tally.Abandoned = true;
                var hang = string.Create(
                    CultureInfo.InvariantCulture,
                    $"seed {seed}, input {number}: has not ended after {patience.TotalSeconds:0.#} s\n  kept as "
                        + $"{Keep(target, number, input)}"
                );
                return tally.Result(target.Name, time.GetElapsedTime(begin).TotalSeconds, hang);
            }
        }

        Directory.Delete(folder, recursive: true);
        return tally.Result(target.Name, time.GetElapsedTime(begin).TotalSeconds, null);
    }

    private void Work(FuzzTarget target, Mutator mutator, string folder, long from, long count, Tally tally)
    {
        for (var number = from; number < from + count && tally.Findings.Count < MostFindings; number++)
        {
            var input = mutator.Create(number);
            var (defect, seconds, allocated) = Read(target, input, folder, number, tally);
            // The thread has been abandoned, and the folders may be gone.
            if (tally.Abandoned)
                return;
            if (defect is null && seconds > MostSeconds)
            {
                tally.Forget();
                (defect, var again, allocated) = Read(target, input, folder, number, tally);
                seconds = Math.Min(seconds, again);
            }

            (tally.Slowest, tally.MostAllocated) = (Math.Max(tally.Slowest, seconds), Math.Max(tally.MostAllocated, allocated));
            if (seconds > MostSeconds)
                defect ??= string.Create(CultureInfo.InvariantCulture, $"took {seconds:0.0} s");
            if (allocated > FreeBytes + (BytesPerByte * input.Length))
                defect ??= string.Create(CultureInfo.InvariantCulture, $"allocated {allocated >> 20} MiB for {input.Length} bytes");
            if (defect is not null)
                tally.Findings.Add($"input {number}: {defect}\n  kept as {Keep(target, number, input)}");
        }
    }

    private (string? Defect, double Seconds, long Allocated) Read(FuzzTarget target, byte[] input, string folder, long number, Tally tally)
    {
        Tensors(reset: true);
        var (before, bytesBefore, start) = (GC.GetAllocatedBytesForCurrentThread(), Tensors(reset: false), time.GetTimestamp());
        tally.Begin(number, input, start);
        string? defect = null;
        try
        {
            target.Read(input, folder);
            tally.Ended(accepted: true);
        }
        catch (RetouchException e) when (e is not EnvironmentException)
        {
            tally.Ended(accepted: false);
        }
        catch (Exception e)
        {
            defect = e.ToString();
        }

        return (
            defect,
            time.GetElapsedTime(start).TotalSeconds,
            GC.GetAllocatedBytesForCurrentThread() - before + Tensors(reset: false) - bytesBefore
        );
    }

    /// <summary>Peak of live tensor bytes.</summary>
    private static long Tensors(bool reset)
    {
        using var scope = TensorScope.Enter();
        return Ops.HostMemory(reset).ToArray<long>()[1];
    }

    private static string FileName(FuzzTarget target) => string.Concat(target.Name.Where(char.IsLetterOrDigit));

    private string Keep(FuzzTarget target, long number, byte[] input)
    {
        Directory.CreateDirectory(findings);
        var path = Path.Combine(findings, string.Create(CultureInfo.InvariantCulture, $"{FileName(target)}-{number}.bin"));
        File.WriteAllBytes(path, input);
        return path;
    }

    /// <summary>Counters shared by the reading and the waiting thread.</summary>
    private sealed class Tally
    {
        private (long Number, byte[] Input, long Start) _current;
        private long _accepted;
        private long _refused;
        private bool _lastAccepted;
        private volatile bool _abandoned;
        private readonly Lock _lock = new();

        public List<string> Findings { get; } = [];

        /// <summary>Whether the reading thread is still busy with an abandoned input.</summary>
        public bool Abandoned
        {
            get => _abandoned;
            set => _abandoned = value;
        }

        public double Slowest { get; set; }

        public long MostAllocated { get; set; }

        public (long Number, byte[] Input, long Start) Current
        {
            get
            {
                lock (_lock)
                    return _current;
            }
        }

        public void Begin(long number, byte[] input, long start)
        {
            lock (_lock)
                _current = (number, input, start);
        }

        public void Ended(bool accepted)
        {
            _lastAccepted = accepted;
            _ = accepted ? _accepted++ : _refused++;
        }

        /// <summary>Uncounts the last input, which is read again.</summary>
        public void Forget() => _ = _lastAccepted ? _accepted-- : _refused--;

        public FuzzResult Result(string target, double seconds, string? hang)
        {
            List<string> findings = hang is null ? Findings : [.. Findings, hang];
            return new FuzzResult(
                target,
                _accepted + _refused + findings.Count,
                _accepted,
                _refused,
                Slowest,
                MostAllocated,
                seconds,
                hang is not null,
                findings
            );
        }
    }
}
