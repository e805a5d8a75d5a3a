using System.Runtime.InteropServices;
using Retouch.Core.Errors;
using Retouch.Torch.Interop;

namespace Retouch.Images.Interop;

/// <summary>The native image library, loaded once.</summary>
internal static class ImagesLibrary
{
    public const string Name = "retouch_images";

    private static readonly Lazy<NativeFile> Library = new(static () =>
        NativeFile.Load(Name, "retouch_images_abi", "Install libvips (Debian: libvips-dev).")
    );

    /// <summary>Path of the loaded file.</summary>
    public static string LoadedFrom => Library.Value.Path;

    /// <summary>Loads the library, so that errors are reported here, and resolves this assembly's imports to it.</summary>
    /// <exception cref="EnvironmentException">The library is missing or does not load.</exception>
    public static void Register()
    {
        var handle = Library.Value.Handle;
        NativeLibrary.SetDllImportResolver(
            typeof(ImagesLibrary).Assembly,
            (name, _, _) => string.Equals(name, Name, StringComparison.Ordinal) ? handle : 0
        );
    }
}
