using System.ComponentModel;
using System.Diagnostics;
using Retouch.Core.Errors;

namespace Retouch.Torch.Interop;

/// <summary>
/// Builds the native libraries of an installed program, from the sources of the package Retouch.Torch, against the libtorch of the machine:
/// the folder in RETOUCH_LIBTORCH, or the system's. Needs CMake and a C++ compiler.
/// </summary>
public static class NativeBuild
{
    /// <summary>The script that builds the libraries and prints their folder.</summary>
    public static string Script { get; } = Path.Combine(AppContext.BaseDirectory, "native-source", "eng", "native.sh");

    /// <summary>
    /// Sets RETOUCH_NATIVE for this process to libraries that fit the current libtorch, building them first if they are not in the cache
    /// (RETOUCH_CACHE). Progress and problems are written to standard error. No effect with libraries chosen by RETOUCH_NATIVE, with
    /// libraries in the program's folder or in the artifacts of a source tree, and without <see cref="Script"/>.
    /// </summary>
    /// <param name="cancellation">Checked after an interrupted build.</param>
    /// <exception cref="EnvironmentException">Packages are missing, or the libraries do not compile; the reason is on standard
    /// error.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static void Ensure(CancellationToken cancellation = default)
    {
        var isChosen = Environment.GetEnvironmentVariable(NativeFile.FolderVariable) is not null;
        if (isChosen || NativeFile.Find(NativeLoader.Name) is not null || !File.Exists(Script))
            return;
        var folder = Run();
        cancellation.ThrowIfCancellationRequested();
        Environment.SetEnvironmentVariable(
            NativeFile.FolderVariable,
            folder ?? throw new EnvironmentException("The native libraries could not be built; the lines above give the reason.")
        );
    }

    /// <summary>Runs the script; null if it fails.</summary>
    private static string? Run()
    {
        var start = new ProcessStartInfo("bash") { RedirectStandardOutput = true, UseShellExecute = false };
        start.ArgumentList.Add(Script);
        try
        {
            using var process = Process.Start(start)!;
            var folder = process.StandardOutput.ReadToEnd().Trim();
            process.WaitForExit();
            return process.ExitCode == 0 && Directory.Exists(folder) ? folder : null;
        }
        catch (Win32Exception e)
        {
            throw new EnvironmentException("The native libraries are built by a script for bash, which is missing. Install bash.", e);
        }
    }
}
