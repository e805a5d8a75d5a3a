using System.Runtime.InteropServices;
using Retouch.Torch.Errors;

namespace Retouch.Images.Interop;

/// <summary>
/// Finds the native library: in the folder that RETOUCH_NATIVE names, else beside the program, else in artifacts/native/current of the
/// nearest folder above it that has one.
/// </summary>
internal static class ImagesLibrary
{
    public const string Name = "retouch_images";
    public const string FolderVariable = "RETOUCH_NATIVE";

    private static readonly Lazy<(nint Handle, string Path)> Library = new(Load);

    /// <summary>The file that was loaded.</summary>
    public static string LoadedFrom => Library.Value.Path;

    /// <summary>Loads the library, so that what is missing is said here, and hands it to this assembly's imports.</summary>
    /// <exception cref="EnvironmentException">It is not there, or does not load.</exception>
    public static void Register()
    {
        var handle = Library.Value.Handle;
        NativeLibrary.SetDllImportResolver(
            typeof(ImagesLibrary).Assembly,
            (name, _, _) => string.Equals(name, Name, StringComparison.Ordinal) ? handle : 0);
    }

    /// <summary>The folders that are looked into, in order.</summary>
    internal static IEnumerable<string> Folders(string? named, string start)
    {
        if (!string.IsNullOrEmpty(named))
        {
            // Whoever names a folder means that one: another library found elsewhere would only hide the mistake.
            yield return named;
            yield break;
        }

        yield return start;
        for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            yield return Path.Combine(folder.FullName, "artifacts", "native", "current");
    }

    private static (nint Handle, string Path) Load()
    {
        var file = OperatingSystem.IsMacOS() ? $"lib{Name}.dylib" : OperatingSystem.IsWindows() ? $"{Name}.dll" : $"lib{Name}.so";
        var named = Environment.GetEnvironmentVariable(FolderVariable);
        var path = Folders(named, AppContext.BaseDirectory).Select(folder => Path.Combine(folder, file)).FirstOrDefault(File.Exists)
            ?? throw new EnvironmentException(
                (string.IsNullOrEmpty(named)
                    ? $"The native library {file} is neither beside the program nor in artifacts/native/current above it"
                    : $"{FolderVariable}='{named}' holds no {file}")
                + ". Run ./retouch doctor, which says what is missing and builds it (eng/build-native.sh images).");
        try
        {
            return (NativeLibrary.Load(path), path);
        }
        catch (DllNotFoundException e)
        {
            throw new EnvironmentException(
                $"The native library '{path}' does not load: {e.Message.ReplaceLineEndings(" ").Trim()} "
                + "Install libvips (Debian: libvips42) or run ./retouch doctor.", e);
        }
    }
}
