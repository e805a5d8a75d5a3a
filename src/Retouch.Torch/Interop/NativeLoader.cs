using System.Runtime.InteropServices;
using Retouch.Torch.Errors;

namespace Retouch.Torch.Interop;

/// <summary>
/// Finds the shim: the folder in <c>RETOUCH_NATIVE</c>, the program's own folder, then <c>artifacts/native/current</c> of the source tree
/// that the program was built in.
/// </summary>
internal static partial class NativeLoader
{
    private const string FileName = "libretouch_torch.so";
    private static readonly Lock Gate = new();
    private static nint s_library;
    private static EnvironmentException? s_failure;

    /// <summary>Where the shim was loaded from; null before it is.</summary>
    public static string? LoadedFrom { get; private set; }

    public static void EnsureLoaded()
    {
        if (s_library != 0)
            return;
        lock (Gate)
        {
            if (s_library != 0)
                return;
            try
            {
                if (s_failure is null)
                    Load();
            }
            catch (EnvironmentException e)
            {
                s_failure = e;
            }

            if (s_failure is not null)
                throw new EnvironmentException(s_failure.Message, s_failure.InnerException);
        }
    }

    private static IEnumerable<string> Candidates()
    {
        if (Environment.GetEnvironmentVariable("RETOUCH_NATIVE") is { Length: > 0 } chosen)
        {
            yield return Path.Combine(chosen, FileName);
            yield break;
        }

        yield return Path.Combine(AppContext.BaseDirectory, FileName);
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            yield return Path.Combine(folder.FullName, "artifacts", "native", "current", FileName);
    }

    private static void Load()
    {
        var path = Candidates().FirstOrDefault(File.Exists) ?? throw new EnvironmentException(
            $"The native library {FileName} was not found ({string.Join("; ", Candidates().Take(2))}). Run './retouch doctor' in the source tree: it builds what is missing and says what it cannot.");
        ChooseWaitPolicy();
        nint library;
        try
        {
            library = NativeLibrary.Load(path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new EnvironmentException(
                $"The native library '{path}' cannot be loaded: {FirstLine(e.Message)} Install libtorch (Debian: libtorch-dev, libopenblas0) or point RETOUCH_LIBTORCH to one, then run './retouch doctor'.", e);
        }

        if (!NativeLibrary.TryGetExport(library, "rt_abi_version", out _))
            throw new EnvironmentException($"'{path}' is not Retouch's native library. Delete it and run './retouch doctor' to build it anew.");
        NativeLibrary.SetDllImportResolver(typeof(NativeLoader).Assembly, (name, _, _) => name == "retouch_torch" ? library : 0);
        var version = Native.GetAbiVersion();
        if (version != Native.AbiVersion)
            throw new EnvironmentException($"'{path}' speaks version {version} of the native interface, this program needs {Native.AbiVersion}. Run './retouch doctor' to build it anew.");
        ChooseThreads();
        LoadedFrom = path;
        s_library = library;
    }

    private static string FirstLine(string text)
    {
        // .NET lists every path it tried; the loader's own sentence names the library that is missing.
        var line = text.Split('\n').FirstOrDefault(static l => l.Contains("cannot open shared object", StringComparison.Ordinal) || l.Contains("undefined symbol", StringComparison.Ordinal)
            || l.Contains("file too short", StringComparison.Ordinal) || l.Contains("invalid ELF", StringComparison.Ordinal)) ?? text.Split('\n')[0];
        return line.Trim().TrimEnd('.') + ".";
    }

    /// <summary>
    /// Idle OpenMP threads that spin steal the core from whatever else computes there (data loading, a second trainer), which was seen to
    /// slow a step twentyfold; they sleep instead, unless the user chose otherwise. It must stand in the C environment before libgomp loads.
    /// </summary>
    private static void ChooseWaitPolicy()
    {
        SetEnv("OMP_WAIT_POLICY", "passive", 0);
    }

    /// <summary>
    /// Debian's libtorch takes one thread however many cores there are (measured on two cores: a convolution took a third longer than with
    /// both). Unless the user chose otherwise, every core that this process may use gets one.
    /// </summary>
    private static void ChooseThreads()
    {
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable("OMP_NUM_THREADS")) && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("MKL_NUM_THREADS")))
            Native.ThreadsSet(Environment.ProcessorCount);
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnv(string name, string value, int overwrite);
}
