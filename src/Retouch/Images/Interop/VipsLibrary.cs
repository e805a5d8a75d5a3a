using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NetVips;
using Retouch.Core.Errors;
using Retouch.Torch.Interop;
using Vips = NetVips.NetVips;

namespace Retouch.Images.Interop;

/// <summary>
/// libvips, loaded once: the file of the package NetVips.Native, or the one that RETOUCH_LIBVIPS names. One thread per picture, since the
/// caller decodes pictures in parallel; no operation cache; untrusted loaders blocked; no output.
/// </summary>
internal static partial class VipsLibrary
{
    /// <summary>Environment variable with the file of another libvips.</summary>
    public const string FileVariable = "RETOUCH_LIBVIPS";

    /// <summary>Name of the library in this assembly's imports.</summary>
    public const string Name = "libvips";

    private const string Remedy =
        $"Unset {FileVariable}, or set it to the file of a libvips of version 8.13 or later, then run './retouch doctor'.";

    // Not a static constructor, which would wrap exceptions in a TypeInitializationException.
    private static readonly Lazy<string> Opened = new(Open);
    private static readonly Lazy<bool> Hevc = new(DecodesHevc);

    /// <summary>Version of libvips; loads the library on first use.</summary>
    /// <exception cref="EnvironmentException">The library is missing, too old, or does not load.</exception>
    public static string Version => Opened.Value;

    /// <summary>Whether HEIC pictures can be decoded; their container alone is that of AVIF.</summary>
    public static bool ReadsHevc => Hevc.Value;

    /// <summary>Whether libvips has a loader for a format.</summary>
    public static bool Reads(PictureFormat format)
    {
        _ = Version;
        return OperationOf(format) is { } operation && HasOperation(operation);
    }

    /// <summary>Empties the error buffer, which libvips has for all threads together.</summary>
    [LibraryImport(Name, EntryPoint = "vips_error_clear")]
    public static partial void ClearErrors();

    /// <summary>Colour space of a picture, from its bands and samples if its header contradicts them.</summary>
    [LibraryImport(Name, EntryPoint = "vips_image_guess_interpretation")]
    public static partial Enums.Interpretation ColourSpaceOf(Image image);

    private static string? OperationOf(PictureFormat format) =>
        format switch
        {
            PictureFormat.Jpeg => "jpegload_buffer",
            PictureFormat.Png => "pngload_buffer",
            PictureFormat.WebP => "webpload_buffer",
            PictureFormat.Tiff => "tiffload_buffer",
            PictureFormat.Gif => "gifload_buffer",
            PictureFormat.Heif => "heifload_buffer",
            _ => null,
        };

    // NetVips loads libvips when a method that uses it is compiled: this one must not, and Start must not become part of it.
    private static string Open()
    {
        var netVips = Assembly.Load("NetVips");
        var chosen = Environment.GetEnvironmentVariable(FileVariable);
        var handle = string.IsNullOrEmpty(chosen) ? LoadOwn(netVips) : LoadChosen(netVips, chosen);
        NativeLibrary.SetDllImportResolver(
            typeof(VipsLibrary).Assembly,
            (name, _, _) => string.Equals(name, Name, StringComparison.Ordinal) ? handle : 0
        );
        return Start();
    }

    private static nint LoadOwn(Assembly netVips)
    {
        try
        {
            // As NetVips does.
            return NativeLibrary.Load(FileName(), netVips, null);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new EnvironmentException(
                $"libvips is not part of this build for {RuntimeInformation.RuntimeIdentifier}, and the system has no {FileName()}: "
                    + $"{NativeFile.Reason(e)} Install libvips (Debian: libvips42), or set {FileVariable} to its file.",
                e
            );
        }
    }

    private static nint LoadChosen(Assembly netVips, string chosen)
    {
        try
        {
            var handle = NativeLibrary.Load(chosen);
            NativeLibrary.SetDllImportResolver(netVips, (_, _, _) => handle);
            return handle;
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new EnvironmentException($"{FileVariable}={chosen} cannot be loaded: {NativeFile.Reason(e)} {Remedy}", e);
        }
        catch (InvalidOperationException e)
        {
            throw new EnvironmentException(
                $"{FileVariable}={chosen} has no effect, since this program has loaded another libvips already. "
                    + $"Read a picture before other uses of NetVips, or unset {FileVariable}.",
                e
            );
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static string Start()
    {
        if (!ModuleInitializer.VipsInitialized)
            throw new EnvironmentException($"libvips does not start: {ModuleInitializer.Exception.Message.Trim()}. {Remedy}");
        var version = string.Join('.', Enumerable.Range(0, 3).Select(static part => Vips.Version(part)));
        // 8.13 brought the block of untrusted loaders.
        if (!Vips.AtLeastLibvips(8, 13))
            throw new EnvironmentException($"libvips {version} is too old. {Remedy}");

        // Warnings of decoders are ignored: unreadable data fails anyway.
        Log.SetLogHandler(
            "VIPS",
            Enums.LogLevelFlags.Warning | Enums.LogLevelFlags.Message | Enums.LogLevelFlags.Info | Enums.LogLevelFlags.Debug,
            static (_, _, _) => { }
        );
        Vips.BlockUntrusted = true;
        // JPEGs with a gain map are read as other JPEGs, without the map.
        Operation.Block("VipsForeignLoadUhdr", state: true);
        Vips.Concurrency = 1;
        Cache.Max = 0;
        return version;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool HasOperation(string name) => Vips.TypeFind("VipsOperation", name) != 0;

    private static string FileName() =>
        OperatingSystem.IsWindows() ? "libvips-42.dll"
        : OperatingSystem.IsMacOS() ? "libvips.42.dylib"
        : "libvips.so.42";

    private static bool DecodesHevc()
    {
        if (!Reads(PictureFormat.Heif))
            return false;
        try
        {
            return VipsDecoder.Decode(HevcSample.Bytes, PictureReading.Default).Picture.Width > 0;
        }
        catch (PictureRefusedException)
        {
            return false;
        }
    }
}
