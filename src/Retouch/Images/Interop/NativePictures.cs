using System.Runtime.InteropServices;
using System.Text;
using Retouch.Core.Errors;

namespace Retouch.Images.Interop;

/// <summary>Managed wrapper of the C ABI of retouch_images (native/images/include/retouch_images.h).</summary>
internal static unsafe partial class NativePictures
{
    private const int Abi = 4;
    private const int ReasonCapacity = 1024;

    // Not a static constructor, which would wrap exceptions in a TypeInitializationException.
    private static readonly Lazy<string> Opened = new(Open);

    /// <summary>Version of libvips; loads the library on first use.</summary>
    public static string VipsVersion => Opened.Value;

    /// <summary>Whether libvips has a loader for a format.</summary>
    public static bool Reads(PictureFormat format)
    {
        _ = Opened.Value;
        return retouch_images_reads((int)format) != 0;
    }

    public static PictureInfo Probe(ReadOnlySpan<byte> data, PictureReading reading)
    {
        _ = Opened.Value;
        var reason = stackalloc byte[ReasonCapacity];
        NativeInfo info;
        fixed (byte* bytes = data)
            Check(retouch_images_probe(bytes, data.Length, reading.MaxPixels, &info, reason, ReasonCapacity), reason);
        return Managed(info);
    }

    public static LoadedPicture Decode(ReadOnlySpan<byte> data, PictureReading reading)
    {
        _ = Opened.Value;
        var reason = stackalloc byte[ReasonCapacity];
        NativeInfo info;
        byte* pixels = null;
        try
        {
            fixed (byte* bytes = data)
            {
                var status = retouch_images_decode(
                    bytes,
                    data.Length,
                    reading.MaxPixels,
                    reading.MinSide,
                    reading.UseProfile ? 1 : 0,
                    &pixels,
                    &info,
                    reason,
                    ReasonCapacity
                );
                Check(status, reason);
            }

            var count = checked(info.Width * info.Height * Picture.Channels);
            var picture = new Picture(info.Width, info.Height, new ReadOnlySpan<byte>(pixels, count).ToArray());
            return new LoadedPicture(picture, Managed(info));
        }
        finally
        {
            retouch_images_free(pixels);
        }
    }

    public static byte[] Encode(Picture picture, PictureFormat format, int quality)
    {
        _ = Opened.Value;
        var reason = stackalloc byte[ReasonCapacity];
        byte* encoded = null;
        long length;
        try
        {
            fixed (byte* rgb = picture.Pixels)
            {
                var status = retouch_images_encode(
                    rgb,
                    picture.Width,
                    picture.Height,
                    (int)format,
                    quality,
                    &encoded,
                    &length,
                    reason,
                    ReasonCapacity
                );
                Check(status, reason);
            }

            return new ReadOnlySpan<byte>(encoded, checked((int)length)).ToArray();
        }
        finally
        {
            retouch_images_free(encoded);
        }
    }

    /// <summary>Normalises Unicode text.</summary>
    /// <param name="text">UTF-8.</param>
    /// <param name="form">1 for NFC, 2 for NFKC.</param>
    /// <exception cref="PictureRefusedException">The text is not valid UTF-8, or has more than 64 MiB.</exception>
    public static string Normalise(ReadOnlySpan<byte> text, int form)
    {
        _ = Opened.Value;
        var reason = stackalloc byte[ReasonCapacity];
        byte* result = null;
        long length;
        try
        {
            // An empty span pins to a null pointer.
            byte none = 0;
            fixed (byte* bytes = text)
                Check(
                    retouch_images_normalise(bytes is null ? &none : bytes, text.Length, form, &result, &length, reason, ReasonCapacity),
                    reason
                );
            return Encoding.UTF8.GetString(new ReadOnlySpan<byte>(result, checked((int)length)));
        }
        finally
        {
            retouch_images_free(result);
        }
    }

    private static string Open()
    {
        ImagesLibrary.Register();
        if (retouch_images_abi() != Abi)
        {
            throw new EnvironmentException(
                $"'{ImagesLibrary.LoadedFrom}' has another version than this program; run eng/build-native.sh images, or "
                    + $"retouch doctor."
            );
        }

        var reason = stackalloc byte[ReasonCapacity];
        if (retouch_images_open(reason, ReasonCapacity) != 0)
            throw new EnvironmentException($"libvips does not start: {Text(reason)}. Reinstall libvips (Debian: libvips42).");
        return Marshal.PtrToStringUTF8(retouch_images_vips_version()) ?? "";
    }

    private static void Check(int status, byte* reason)
    {
        const int Failed = 4;
        if (status == Failed)
            throw new InvalidOperationException($"retouch_images: {Text(reason)}");
        if (status != 0)
            throw new PictureRefusedException(Text(reason));
    }

    private static string Text(byte* reason) => Marshal.PtrToStringUTF8((nint)reason) ?? "";

    private static PictureInfo Managed(in NativeInfo info) =>
        new(
            (PictureFormat)info.Format,
            info.FullWidth,
            info.FullHeight,
            info.Orientation,
            info.HasAlpha != 0,
            info.HasProfile != 0,
            info.Bits
        );

    [LibraryImport(ImagesLibrary.Name)]
    private static partial int retouch_images_abi();

    [LibraryImport(ImagesLibrary.Name)]
    private static partial int retouch_images_open(byte* reason, int capacity);

    [LibraryImport(ImagesLibrary.Name)]
    private static partial nint retouch_images_vips_version();

    [LibraryImport(ImagesLibrary.Name)]
    private static partial int retouch_images_reads(int format);

    [LibraryImport(ImagesLibrary.Name)]
    private static partial int retouch_images_probe(byte* data, long length, long maxPixels, NativeInfo* info, byte* reason, int capacity);

    [LibraryImport(ImagesLibrary.Name)]
    private static partial int retouch_images_decode(
        byte* data,
        long length,
        long maxPixels,
        int minSide,
        int useProfile,
        byte** pixels,
        NativeInfo* info,
        byte* reason,
        int capacity
    );

    [LibraryImport(ImagesLibrary.Name)]
    private static partial int retouch_images_encode(
        byte* rgb,
        int width,
        int height,
        int format,
        int quality,
        byte** encoded,
        long* length,
        byte* reason,
        int capacity
    );

    [LibraryImport(ImagesLibrary.Name)]
    private static partial int retouch_images_normalise(
        byte* text,
        long length,
        int form,
        byte** result,
        long* resultLength,
        byte* reason,
        int capacity
    );

    [LibraryImport(ImagesLibrary.Name)]
    private static partial void retouch_images_free(void* memory);

    /// <summary>Mirror of retouch_images_info.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct NativeInfo
    {
        public int Format;
        public int Width;
        public int Height;
        public int FullWidth;
        public int FullHeight;
        public int Orientation;
        public int Shrink;
        public int HasAlpha;
        public int HasProfile;
        public int Bits;
    }
}
