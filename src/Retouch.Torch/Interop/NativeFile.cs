using System.Runtime.InteropServices;
using Retouch.Core.Errors;

namespace Retouch.Torch.Interop;

/// <summary>A native library of Retouch, loaded from where such libraries lie.</summary>
/// <param name="Handle">The loader's handle; valid for as long as the process lives.</param>
/// <param name="Path">The file it was loaded from.</param>
public sealed record NativeFile(nint Handle, string Path)
{
    /// <summary>The variable that names the folder of native libraries.</summary>
    public const string FolderVariable = "RETOUCH_NATIVE";

    /// <summary>
    /// Loads <c>lib{name}.so</c> from the folder in RETOUCH_NATIVE; without that variable from the program's own folder, else from
    /// <c>artifacts/native/current</c> of the nearest folder above it that has one.
    /// </summary>
    /// <param name="name">Name without prefix and ending, as in <c>retouch_torch</c>.</param>
    /// <param name="export">A function that tells the library from a stranger of the same name.</param>
    /// <param name="remedy">What to install when a library that it depends on is missing; a sentence.</param>
    /// <exception cref="EnvironmentException">It is not there, does not load, or is something else.</exception>
    public static NativeFile Load(string name, string export, string remedy)
    {
        var file = $"lib{name}.so";
        var chosen = Environment.GetEnvironmentVariable(FolderVariable);
        var path =
            Folders(chosen).Select(folder => System.IO.Path.Combine(folder, file)).FirstOrDefault(File.Exists)
            ?? throw new EnvironmentException(
                (
                    string.IsNullOrEmpty(chosen)
                        ? $"The native library {file} is neither beside the program nor in artifacts/native/current above it."
                        : $"{FolderVariable}={chosen} holds no {file}."
                ) + " Run './retouch doctor' in the source tree: it builds what is missing and says what it cannot."
            );
        nint handle;
        try
        {
            handle = NativeLibrary.Load(path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new EnvironmentException(
                $"The native library '{path}' cannot be loaded: {Reason(e.Message)} {remedy} Then run './retouch doctor'.",
                e
            );
        }

        return NativeLibrary.TryGetExport(handle, export, out _)
            ? new(handle, path)
            : throw new EnvironmentException(
                $"'{path}' is not the native library it is named after. Delete it and run './retouch doctor' to build it anew."
            );
    }

    private static IEnumerable<string> Folders(string? chosen)
    {
        if (!string.IsNullOrEmpty(chosen))
        {
            // Whoever names a folder means that one: a library found elsewhere would only hide the mistake.
            yield return chosen;
            yield break;
        }

        yield return AppContext.BaseDirectory;
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            yield return System.IO.Path.Combine(folder.FullName, "artifacts", "native", "current");
    }

    /// <summary>
    /// .NET explains at length how to debug loading and lists what it tried; the loader's own sentence names the culprit.
    /// </summary>
    private static string Reason(string message)
    {
        string[] telling = ["cannot open shared object", "undefined symbol", "file too short", "invalid ELF"];
        var lines = message.Split('\n');
        var line = lines.FirstOrDefault(line => telling.Any(line.Contains)) ?? lines[0];
        return line.Trim().TrimEnd('.') + ".";
    }
}
