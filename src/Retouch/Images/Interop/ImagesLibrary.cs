using System.Runtime.InteropServices;
using Retouch.Core.Errors;
using Retouch.Torch.Interop;

namespace Retouch.Images.Interop;

/// <summary>The native library over libvips, loaded once.</summary>
internal static class ImagesLibrary
{
    public const string Name = "retouch_images";

    private static readonly Lazy<NativeFile> Library = new(static () =>
        NativeFile.Load(Name, "retouch_images_abi", "Install libvips (Debian: libvips-dev).")
    );

    /// <summary>The file that was loaded.</summary>
    public static string LoadedFrom => Library.Value.Path;

    /// <summary>Loads the library, so that what is missing is said here, and hands it to this assembly's imports.</summary>
    /// <exception cref="EnvironmentException">It is not there, or does not load.</exception>
    public static void Register()
    {
        var handle = Library.Value.Handle;
        NativeLibrary.SetDllImportResolver(
            typeof(ImagesLibrary).Assembly,
            (name, _, _) => string.Equals(name, Name, StringComparison.Ordinal) ? handle : 0
        );
    }
}
