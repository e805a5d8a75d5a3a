using System.Buffers.Binary;
using NetVips;
using Retouch.Core.Errors;
using Retouch.Images;
using Retouch.Images.Interop;

namespace Retouch.Tests.Images;

/// <summary>GIF and AVIF, and TIFFs with unusual samples or bands.</summary>
public sealed class OtherFormatsTests
{
    // Four uniform quarters, written by libheif with AV1.
    private const string Avif =
        "AAAAHGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZgAAASttZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAAA5waXRtAAAAAAABAAAA"
        + "NGlsb2MAAAAAREAAAgABAAAAAAFPAAEAAAAAAAAANQACAAAAAAGEAAEAAAAAAAAAvgAAADhpaW5mAAAAAAACAAAAFWluZmUCAAAAAAEAAGF2MDEAAAAAFWlu"
        + "ZmUCAAABAAIAAEV4aWYAAAAAamlwcnAAAABLaXBjbwAAABNjb2xybmNseAACAAIABoAAAAAMYXYxQ4EgAgAAAAAUaXNwZQAAAAAAAAAIAAAACAAAABBwaXhp"
        + "AAAAAAMICAgAAAAXaXBtYQAAAAAAAAABAAEEgYIDhAAAABppcmVmAAAAAAAAAA5jZHNjAAIAAQABAAAA+21kYXQSAAoIOAi/5QICBpAyJxGAAABAQKtZv5yn"
        + "5gI20eHHpQPuMc4rKPVU2Hqe7KK9s1X8Xb3FkAAAAAZFeGlmAABJSSoACAAAAAYAEgEDAAEAAAABAAAAGgEFAAEAAABWAAAAGwEFAAEAAABeAAAAKAEDAAEA"
        + "AAACAAAAEwIDAAEAAAABAAAAaYcEAAEAAABmAAAAAAAAADhjAADoAwAAOGMAAOgDAAAGAACQBwAEAAAAMDIxMAGRBwAEAAAAAQIDAACgBwAEAAAAMDEwMAGg"
        + "AwABAAAA//8AAAKgBAABAAAACAAAAAOgBAABAAAACAAAAAAAAAA=";

    [Fact]
    public void The_first_frame_of_a_gif_is_read()
    {
        // Two pixels of a palette of four colours; the codes clear, 0, 1, end have three bits each.
        byte[] gif =
        [
            .. "GIF89a"u8,
            2,
            0,
            1,
            0,
            0x91,
            0,
            0,
            10,
            20,
            30,
            200,
            100,
            50,
            0,
            0,
            0,
            0,
            0,
            0,
            0x2C,
            0,
            0,
            0,
            0,
            2,
            0,
            1,
            0,
            0,
            2,
            2,
            0x44,
            0x0A,
            0,
            0x3B,
        ];
        var loaded = PictureFile.Decode(gif, "a.gif");
        Assert.Equal(PictureFormat.Gif, loaded.Info.Format);
        Assert.Equal([new Rgb(10, 20, 30), new Rgb(200, 100, 50)], [loaded.Picture[0, 0], loaded.Picture[1, 0]]);
        Assert.True(PictureFile.HasPictureExtension("a.GIF"));
    }

    [Fact]
    public void An_avif_is_read_if_libvips_supports_it()
    {
        if (!PictureFile.HasPictureExtension("a.avif"))
            return;
        var picture = PictureFile.Decode(Convert.FromBase64String(Avif), "a.avif").Picture;
        Assert.Equal((8, 8), (picture.Width, picture.Height));
        foreach (
            var (x, y, expected) in new[]
            {
                (1, 1, new Rgb(200, 180, 90)),
                (6, 1, new Rgb(40, 180, 90)),
                (1, 6, new Rgb(200, 60, 90)),
                (6, 6, new Rgb(40, 60, 90)),
            }
        )
        {
            Assert.InRange(picture[x, y].R, expected.R - 12, expected.R + 12);
            Assert.InRange(picture[x, y].G, expected.G - 12, expected.G + 12);
        }
    }

    [Fact]
    public void A_heic_is_read_or_rejected_with_the_codec()
    {
        if (PictureFile.ReadsHeic)
        {
            var colour = PictureFile.Decode(HevcSample.Bytes, "a.heic").Picture[4, 4];
            Assert.InRange(colour.R, 190, 210);
            Assert.InRange(colour.B, 40, 60);
        }
        else
        {
            var message = Assert.Throws<InputException>(() => PictureFile.Decode(HevcSample.Bytes, "a.heic")).Message;
            Assert.Contains("HEVC, for which this libvips has no decoder", message, StringComparison.Ordinal);
            Assert.DoesNotContain("seek", message, StringComparison.Ordinal);
        }

        Assert.Equal(PictureFile.ReadsHeic, PictureFile.HasPictureExtension("a.HEIC"));
    }

    [Fact]
    public void A_jpeg_with_a_gain_map_is_read_as_a_jpeg()
    {
        Assert.True(PictureFile.Reads(PictureFormat.Jpeg));
        using var black = Image.Black(64, 64, bands: 3);
        using var light = black + 0.5;
        using var linear = light.Copy(interpretation: Enums.Interpretation.Scrgb);
        var jpeg = (byte[])Operation.Call("uhdrsave_buffer", null, linear);
        Assert.True(jpeg.AsSpan().IndexOf("MPF\0"u8) > 0, "no gain map was written");
        var loaded = PictureFile.Decode(jpeg, "a.jpg", new PictureReading { UseProfile = false });
        using var withoutMap = Image.JpegloadBuffer(jpeg);
        Assert.Equal((PictureFormat.Jpeg, 64), (loaded.Info.Format, loaded.Picture.Width));
        Assert.Equal(withoutMap.WriteToMemory<byte>(), loaded.Picture.Pixels.ToArray());
    }

    [Theory]
    [InlineData(3, 32, 3, "floating-point")]
    [InlineData(1, 32, 3, "floating-point")]
    [InlineData(1, 32, 1, "32-bit integers")]
    [InlineData(3, 16, 2, "signed")]
    [InlineData(5, 8, 1, "it has 5 bands")]
    public void Samples_without_a_white_point_and_extra_bands_are_rejected(int bands, int bits, int format, string words)
    {
        var tiff = Tiff(bands, bits, format, new byte[bands * bits / 8 * 4], extra: bands > 4 ? 0 : null);
        var message = Assert.Throws<InputException>(() => PictureFile.Decode(tiff, "a.tif")).Message;
        Assert.Contains(words, message, StringComparison.Ordinal);
        Assert.Contains("a.tif", message, StringComparison.Ordinal);
    }

    /// <summary>A fourth band is alpha if declared; near infrared is not (as in Pillow: RGBX, RGBa, RGBA).</summary>
    [Theory]
    [InlineData(0, 100, 50, 20)]
    [InlineData(1, 230, 180, 150)] // multiplied already: 100 + 255 · (1 − 125/255)
    [InlineData(2, 179, 155, 140)] // 100 · 125/255 + 255 · (1 − 125/255)
    public void A_fourth_band_is_what_the_file_says(int extra, int r, int g, int b)
    {
        byte[] pixel = [100, 50, 20, 125];
        var picture = PictureFile.Decode(Tiff(4, 8, 1, [.. pixel, .. pixel, .. pixel, .. pixel], extra), "a.tif").Picture;
        Assert.InRange(picture[1, 1].R, r - 1, r + 1);
        Assert.InRange(picture[1, 1].G, g - 1, g + 1);
        Assert.InRange(picture[1, 1].B, b - 1, b + 1);
    }

    /// <summary>A little-endian TIFF of 2 × 2 pixels in one strip, interleaved.</summary>
    /// <param name="bands">Samples per pixel.</param>
    /// <param name="bits">Bits per sample.</param>
    /// <param name="format">SampleFormat: 1 unsigned, 2 signed, 3 floating.</param>
    /// <param name="pixels">All samples.</param>
    /// <param name="extra">ExtraSamples for the bands beyond three; null omits the tag.</param>
    private static byte[] Tiff(int bands, int bits, int format, byte[] pixels, int? extra)
    {
        var file = new MemoryStream();
        file.Write("II*\0"u8);
        Int(8 + pixels.Length);
        file.Write(pixels);
        var entries = new List<(int Tag, int Type, int[] Values)>
        {
            (256, 3, [2]),
            (257, 3, [2]),
            (258, 3, [.. Enumerable.Repeat(bits, bands)]),
            (259, 3, [1]),
            (262, 3, [bands == 1 ? 1 : 2]),
            (273, 4, [8]),
            (277, 3, [bands]),
            (278, 3, [2]),
            (279, 4, [pixels.Length]),
            (284, 3, [1]),
            (339, 3, [.. Enumerable.Repeat(format, bands)]),
        };
        if (extra is { } kind)
            entries.Insert(10, (338, 3, [.. Enumerable.Repeat(kind, bands - 3)]));
        Short(entries.Count);
        var place = (int)file.Length + (12 * entries.Count) + 4;
        var rest = new MemoryStream();
        foreach (var (tag, type, values) in entries)
        {
            Short(tag);
            Short(type);
            Int(values.Length);
            if (type == 3 && values.Length > 2)
            {
                Int(place + (int)rest.Length);
                foreach (var value in values)
                    rest.Write(BitConverter.GetBytes((short)value));
            }
            else if (type == 3)
            {
                Short(values[0]);
                Short(values.Length > 1 ? values[1] : 0);
            }
            else
            {
                Int(values[0]);
            }
        }

        Int(0);
        file.Write(rest.ToArray());
        return file.ToArray();

        void Short(int value)
        {
            Span<byte> bytes = stackalloc byte[2];
            BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)value);
            file.Write(bytes);
        }

        void Int(int value)
        {
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
            file.Write(bytes);
        }
    }
}
