using System.Globalization;
using Retouch.Experiments.Machine;

namespace Retouch.Cli.Diagnosis;

/// <summary>Checks of the native libraries and their speed.</summary>
internal static class LibraryChecks
{
    /// <summary>Minimum GFLOP/s per core of an optimised BLAS, on a busy machine, too.</summary>
    private const double SlowGflopsPerThread = 5;

    private const string Unset = "Unset RETOUCH_NATIVE and start retouch, which builds the libraries.";

    /// <summary>Folder of native libraries chosen by the user or the launcher.</summary>
    private static string? Chosen => Environment.GetEnvironmentVariable("RETOUCH_NATIVE") is { Length: > 0 } folder ? folder : null;

    /// <summary>libtorch requested in place of the system's.</summary>
    private static string? Asked => Environment.GetEnvironmentVariable("RETOUCH_LIBTORCH") is { Length: > 0 } folder ? folder : null;

    /// <summary>Folder of the native libraries according to the environment.</summary>
    public static Check Folder()
    {
        if (Chosen is not { } folder)
            return new(
                "Native folder",
                CheckState.Ok,
                "RETOUCH_NATIVE is not set; searched next to the program, then in artifacts/native/current"
            );
        if (!Directory.Exists(folder))
            return new("Native folder", CheckState.Missing, $"RETOUCH_NATIVE={folder} is not a folder", Unset);
        var files = Directory.GetFiles(folder, "libretouch_*").Select(Path.GetFileName).Order(StringComparer.Ordinal).ToArray();
        return files.Length > 0
            ? new("Native folder", CheckState.Ok, $"{folder}: {string.Join(", ", files)}")
            : new("Native folder", CheckState.Missing, $"RETOUCH_NATIVE={folder} contains no libretouch_*.so", Unset);
    }

    /// <summary>Engine, BLAS, threads, GPU: one line if it cannot be loaded.</summary>
    public static IEnumerable<Check> Torch(TorchFacts? facts, string? failure)
    {
        if (Asked is { } asked && !File.Exists(Path.Combine(asked, "lib", "libtorch_cpu.so")))
        {
            return
            [
                new(
                    "libtorch",
                    CheckState.Missing,
                    $"RETOUCH_LIBTORCH={asked} contains no lib/libtorch_cpu.so",
                    "Set it to the folder of libtorch or of a Python torch package, or unset RETOUCH_LIBTORCH for the system's libtorch."
                ),
            ];
        }

        if (facts is null)
            return
            [
                new(
                    "libtorch",
                    CheckState.Missing,
                    failure ?? "not found",
                    Mend("libtorch-dev libopenblas0", " (or set RETOUCH_LIBTORCH to another libtorch)")
                ),
            ];

        return [Libtorch(facts), Blas(facts), Threads(facts), GpuChecks.Cuda(facts), GpuChecks.Card(facts), Processes(facts)];
    }

    /// <summary>Communication of several processes.</summary>
    internal static Check Processes(TorchFacts facts)
    {
        const string Name = "Processes";
        if (facts.GlooReason is { } reason)
            return new(Name, CheckState.Slow, "neither Gloo nor NCCL: a single process trains", $"For several processes: {reason}.");
        if (facts.NcclReason is not { } without)
            return new(Name, CheckState.Ok, "Gloo and NCCL are compiled in");
        return facts.Cuda.Devices > 1
            ? new(
                Name,
                CheckState.Slow,
                "Gloo is compiled in, NCCL is not: the GPUs sum gradients through the CPU",
                $"For NCCL: {without} (docs/scaling.md)."
            )
            : new(Name, CheckState.Ok, "Gloo is compiled in; NCCL, for several GPUs, is not");
    }

    /// <summary>libvips and its file formats. HEIC is optional: the libvips of this program has no decoder for it.</summary>
    public static Check Pictures(PictureFacts? facts, string? failure)
    {
        if (facts is null)
            return new("Pictures", CheckState.Missing, failure ?? "not found", "Build again with './retouch', or unset RETOUCH_LIBVIPS.");
        var detail = $"libvips {facts.VipsVersion} ({facts.Libvips ?? "unknown path"}) reads {string.Join(", ", facts.Loaders)}";
        if (facts.LackedLoaders.Count > 0)
            detail += $"; lacks {string.Join(", ", facts.LackedLoaders)}";
        return facts.LackedLoaders.Any(static format => format != "HEIC")
            ? new("Pictures", CheckState.Slow, detail, "Unset RETOUCH_LIBVIPS: the libvips of this program reads all of them but HEIC.")
            : new("Pictures", CheckState.Ok, detail);
    }

    /// <summary>Remedy for a library that does not load: reset the environment, otherwise install and build.</summary>
    private static string Mend(string packages, string otherwise = "")
    {
        var steps = new List<string>();
        foreach (var variable in (string[])["LD_LIBRARY_PATH", "LD_PRELOAD"])
        {
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value)
                steps.Add($"unset {variable} ({value})");
        }

        if (Chosen is not null)
            steps.Add("unset RETOUCH_NATIVE, if it was set by hand");
        steps.Add($"apt-get install {packages}{otherwise}");
        steps.Add("delete ~/.cache/retouch/native");
        return $"Try in this order, each time starting retouch, which builds what is missing: {string.Join("; ", steps)}.";
    }

    private static Check Libtorch(TorchFacts facts)
    {
        var where = facts.Libtorch ?? "unknown path";
        var loaded = facts.Libtorch is { } path ? VersionOf(path) : null;
        // File names may have two numbers where the header has three, and a suffix for the build (+cu121).
        if (loaded is not null && !(facts.BuiltFor + ".").StartsWith(loaded.Split('+')[0] + ".", StringComparison.Ordinal))
        {
            return new(
                "libtorch",
                CheckState.Missing,
                $"{where} is version {loaded}, but {facts.Library} was built for {facts.BuiltFor}",
                "Unset LD_LIBRARY_PATH and RETOUCH_NATIVE, choose the libtorch with RETOUCH_LIBTORCH, and start retouch, which "
                    + "builds against it."
            );
        }

        if (Asked is { } asked && facts.Libtorch is { } file && !IsBelow(file, asked))
        {
            return new(
                "libtorch",
                CheckState.Missing,
                $"RETOUCH_LIBTORCH={asked}, but {file} was loaded by {facts.Library}",
                "Unset RETOUCH_NATIVE and LD_LIBRARY_PATH and start retouch, which builds against the requested libtorch."
            );
        }

        var detail = $"{facts.BuiltFor} in {where}, loaded by {facts.Library}";
        return facts.IsTested
            ? new("libtorch", CheckState.Ok, detail)
            : new(
                "libtorch",
                CheckState.Slow,
                $"{detail}; not tested with this version",
                "In case of errors, use libtorch 1.13, 2.6 or 2.14, or run ./test."
            );
    }

    /// <summary>Whether a file, its links resolved, is in a folder.</summary>
    private static bool IsBelow(string file, string folder)
    {
        string Real(string path) => new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? Path.GetFullPath(path);
        var inside = new DirectoryInfo(folder).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? Path.GetFullPath(folder);
        return Real(file).StartsWith(inside.TrimEnd('/') + "/", StringComparison.Ordinal)
            || Directory.EnumerateFiles(Path.Combine(folder, "lib"), "libtorch_cpu.so*").Any(own => Real(own) == Real(file));
    }

    /// <summary>Version of a libtorch file, from its name in the distribution or from the file next to the libraries.</summary>
    private static string? VersionOf(string libtorch)
    {
        var name = Path.GetFileName(libtorch);
        const string soname = ".so.";
        if (name.IndexOf(soname, StringComparison.Ordinal) is var at and >= 0)
            return name[(at + soname.Length)..];
        var note = Path.Combine(Path.GetDirectoryName(libtorch)!, "..", "build-version");
        return File.Exists(note) ? File.ReadAllText(note).Trim() : null;
    }

    private static Check Blas(TorchFacts facts)
    {
        var detail = string.Create(CultureInfo.InvariantCulture, $"{facts.Blas}, {facts.MatmulGflops:0} GFLOP/s in float32");
        if (facts.Blas == "reference BLAS")
            return new(
                "BLAS",
                CheckState.Slow,
                detail,
                "Install OpenBLAS (apt-get install libopenblas0): matrix products become about forty times faster."
            );
        return facts.MatmulGflops < SlowGflopsPerThread * facts.Threads
            ? new(
                "BLAS",
                CheckState.Slow,
                detail,
                "Below the expected speed. If the machine is idle, use a libtorch with MKL or install libopenblas0."
            )
            : new("BLAS", CheckState.Ok, detail);
    }

    private static Check Threads(TorchFacts facts)
    {
        var detail = $"{facts.Threads} on {Environment.ProcessorCount} cores, OpenMP waits {facts.WaitPolicy}ly";
        if (facts.WaitPolicy == "active")
            return new(
                "Threads",
                CheckState.Slow,
                detail,
                "Unset OMP_WAIT_POLICY: spinning idle threads can slow down a step twentyfold on a busy machine."
            );
        if (facts.Threads < Environment.ProcessorCount)
            return new(
                "Threads",
                CheckState.Slow,
                detail,
                "Unset OMP_NUM_THREADS, or set it to the number of cores, unless several processes share the machine."
            );
        if (facts.Threads > Environment.ProcessorCount)
            return new("Threads", CheckState.Slow, detail, "Set OMP_NUM_THREADS to at most the number of cores.");
        return new("Threads", CheckState.Ok, detail);
    }
}
