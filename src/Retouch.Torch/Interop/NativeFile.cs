using System.Runtime.InteropServices;
using Retouch.Core.Errors;

namespace Retouch.Torch.Interop;

/// <summary>A loaded native library of Retouch.</summary>
/// <param name="Handle">Library handle, valid for the life of the process.</param>
/// <param name="Path">Path of the loaded file.</param>
public sealed record NativeFile(nint Handle, string Path)
{
    /// <summary>Environment variable with the folder of native libraries.</summary>
    public const string FolderVariable = "RETOUCH_NATIVE";

    /// <summary>
    /// Loads <c>lib{name}.so</c> from the folder in RETOUCH_NATIVE; without that variable from the program's folder, else from
    /// <c>artifacts/native/current</c> of its nearest parent folder.
    /// </summary>
    /// <param name="name">Name without prefix and extension, e.g. <c>retouch_torch</c>.</param>
    /// <param name="export">Exported function that identifies the library.</param>
    /// <param name="remedy">Sentence with the packages to install if a dependency is missing.</param>
    /// <exception cref="EnvironmentException">The library is missing, does not load, or lacks the export.</exception>
    public static NativeFile Load(string name, string export, string remedy)
    {
        var path = Find(name) ?? throw new EnvironmentException(Missing(name));
        nint handle;
        try
        {
            handle = NativeLibrary.Load(path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new EnvironmentException(
                $"The native library '{path}' cannot be loaded: {Reason(e)} {remedy} Then run 'retouch doctor'.",
                e
            );
        }

        return NativeLibrary.TryGetExport(handle, export, out _)
            ? new(handle, path)
            : throw new EnvironmentException(
                $"'{path}' is not the native library of that name. Delete it and run 'retouch doctor' to rebuild it."
            );
    }

    /// <summary>Path of the file that <see cref="Load"/> loads; null if there is none.</summary>
    internal static string? Find(string name) =>
        Folders(Environment.GetEnvironmentVariable(FolderVariable))
            .Select(folder => System.IO.Path.Combine(folder, $"lib{name}.so"))
            .FirstOrDefault(File.Exists);

    private static string Missing(string name)
    {
        if (Environment.GetEnvironmentVariable(FolderVariable) is { Length: > 0 } chosen)
            return $"{FolderVariable}={chosen} contains no lib{name}.so. Run 'retouch doctor', or unset the variable.";
        return $"The native library lib{name}.so is not in the program's folder, and {FolderVariable} is not set. "
            + (
                File.Exists(NativeBuild.Script)
                    ? $"'bash {NativeBuild.Script}' builds it and prints its folder, for {FolderVariable}; or call NativeBuild.Ensure()."
                    : $"Build it in the source tree with eng/native.sh, which prints its folder, and set {FolderVariable} to that."
            );
    }

    private static IEnumerable<string> Folders(string? chosen)
    {
        if (!string.IsNullOrEmpty(chosen))
        {
            // An explicit folder is the only candidate: falling back to another would hide a mistake.
            yield return chosen;
            yield break;
        }

        yield return AppContext.BaseDirectory;
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            yield return System.IO.Path.Combine(folder.FullName, "artifacts", "native", "current");
    }

    /// <summary>
    /// Extracts the dynamic loader's error from .NET's long message, which also lists debugging advice and all attempts.
    /// </summary>
    public static string Reason(Exception failure)
    {
        ArgumentNullException.ThrowIfNull(failure);
        string[] telling = ["cannot open shared object", "undefined symbol", "file too short", "invalid ELF"];
        var lines = failure.Message.Split('\n');
        var line = lines.FirstOrDefault(line => telling.Any(line.Contains)) ?? lines[0];
        return line.Trim().TrimEnd('.') + ".";
    }
}
