using System.Globalization;
using Retouch.Torch;
using Retouch.Torch.Errors;

namespace Retouch.Fuzz;

/// <summary>What a reader made of its inputs.</summary>
/// <param name="Target">What was read.</param>
/// <param name="Inputs">How many inputs.</param>
/// <param name="Accepted">Those that were read.</param>
/// <param name="Refused">Those that were refused with an error that a user can mend.</param>
/// <param name="Slowest">Seconds of the slowest.</param>
/// <param name="MostAllocated">Bytes of the one that allocated most, tensors included.</param>
/// <param name="Seconds">Seconds of all.</param>
/// <param name="Findings">What went wrong, at most ten.</param>
public sealed record FuzzResult(string Target, long Inputs, long Accepted, long Refused, double Slowest, long MostAllocated, double Seconds, IReadOnlyList<string> Findings);

/// <summary>
/// Feeds readers with broken files. A defect is any exception that is no <see cref="RetouchException"/>, an input that takes more than two seconds, and one that
/// allocates more than 64 MiB and a hundred times its length.
/// </summary>
/// <param name="time">Measures.</param>
/// <param name="scratch">A folder for inputs; a file system in memory is fastest.</param>
/// <param name="findings">A folder that inputs which show a defect are kept in.</param>
public sealed class Fuzzer(TimeProvider time, string scratch, string findings)
{
    private const double MostSeconds = 2;
    private const long FreeBytes = 64 << 20;
    private const long BytesPerByte = 100;
    private const int MostFindings = 10;

    /// <summary>Runs inputs number <paramref name="from"/> to <paramref name="from"/> + <paramref name="count"/> − 1 of a reader.</summary>
    public FuzzResult Run(FuzzTarget target, ulong seed, long from, long count)
    {
        ArgumentNullException.ThrowIfNull(target);
        var mutator = new Mutator(target.Seeds, seed);
        var folder = Directory.CreateDirectory(Path.Combine(scratch, string.Concat(target.Name.Where(char.IsLetterOrDigit)))).FullName;
        var (accepted, refused, slowest, most) = (0L, 0L, 0.0, 0L);
        var found = new List<string>();
        var begin = time.GetTimestamp();
        for (var number = from; number < from + count && found.Count < MostFindings; number++)
        {
            var input = mutator.Create(number);
            Tensors(reset: true);
            var (before, bytesBefore, start) = (GC.GetAllocatedBytesForCurrentThread(), Tensors(reset: false), time.GetTimestamp());
            string? defect = null;
            try
            {
                target.Read(input, folder);
                accepted++;
            }
            catch (RetouchException)
            {
                refused++;
            }
            catch (Exception e)
            {
                defect = e.ToString();
            }

            var seconds = time.GetElapsedTime(start).TotalSeconds;
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before + Tensors(reset: false) - bytesBefore;
            (slowest, most) = (Math.Max(slowest, seconds), Math.Max(most, allocated));
            if (seconds > MostSeconds)
                defect ??= string.Create(CultureInfo.InvariantCulture, $"took {seconds:0.0} s");
            if (allocated > FreeBytes + (BytesPerByte * input.Length))
                defect ??= string.Create(CultureInfo.InvariantCulture, $"allocated {allocated >> 20} MiB for {input.Length} bytes");
            if (defect is not null)
                found.Add($"input {number}: {defect}\n  kept as {Keep(target, number, input)}");
        }

        Directory.Delete(folder, recursive: true);
        return new FuzzResult(target.Name, accepted + refused + found.Count, accepted, refused, slowest, most, time.GetElapsedTime(begin).TotalSeconds, found);
    }

    /// <summary>The most bytes of tensors that were alive at once.</summary>
    private static long Tensors(bool reset)
    {
        using var scope = TensorScope.Enter();
        return Ops.HostMemory(reset).ToArray<long>()[1];
    }

    private string Keep(FuzzTarget target, long number, byte[] input)
    {
        Directory.CreateDirectory(findings);
        var path = Path.Combine(findings, string.Create(CultureInfo.InvariantCulture, $"{string.Concat(target.Name.Where(char.IsLetterOrDigit))}-{number}.bin"));
        File.WriteAllBytes(path, input);
        return path;
    }
}
