using System.Buffers.Binary;
using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Tests.Images;

public sealed class BrokenPictureTests
{
    public static TheoryData<PictureFormat> Written => [PictureFormat.Jpeg, PictureFormat.Png, PictureFormat.WebP];

    [Theory]
    [MemberData(nameof(Written))]
    public void Truncated_files_are_rejected(PictureFormat format)
    {
        // Noise, so that pixel data dominate and every truncation affects them or the header.
        var noise = new Picture(48, 48);
        var random = new Random(5);
        random.NextBytes(noise.Pixels);
        var whole = PictureFile.Encode(noise, format);
        for (var part = 1; part < 10; part++)
        {
            var cut = whole[..(whole.Length * part / 10)];
            var error = Assert.Throws<InputException>(() => PictureFile.Decode(cut, "cut"));
            Assert.StartsWith("Cannot read the picture 'cut': it", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Broken_deflate_data_are_rejected()
    {
        var noise = new Picture(48, 48);
        new Random(6).NextBytes(noise.Pixels);
        var png = PictureFile.Encode(noise, PictureFormat.Png);
        for (var i = png.Length / 2; i < png.Length / 2 + 40; i++)
            png[i] ^= 0xFF;
        Assert.Throws<InputException>(() => PictureFile.Decode(png, "flipped.png"));
    }

    [Fact]
    public void Decompression_bombs_are_rejected_by_the_header()
    {
        // A header of 60000 x 60000 pixels with the data of one.
        var png = PictureTestFiles.Png(60000, 60000, 8, 2, new byte[60000]);
        var error = Assert.Throws<InputException>(() => PictureFile.Decode(png, "bomb.png"));
        Assert.Contains("60000 x 60000", error.Message, StringComparison.Ordinal);
        Assert.Contains("200000000", error.Message, StringComparison.Ordinal);
        Assert.Throws<InputException>(() => PictureFile.Probe(png, "bomb.png"));
    }

    [Fact]
    public void The_limit_on_pixels_is_inclusive()
    {
        var png = PictureFile.Encode(PictureTestFiles.Gradient(10, 10), PictureFormat.Png);
        Assert.Equal(10, PictureFile.Decode(png, "ten", new PictureReading { MaxPixels = 100 }).Picture.Width);
        Assert.Throws<InputException>(() => PictureFile.Decode(png, "ten", new PictureReading { MaxPixels = 99 }));
        Assert.Throws<UsageException>(() => PictureFile.Decode(png, "ten", new PictureReading { MaxPixels = 0 }));
    }

    [Fact]
    public void A_picture_of_zero_width_is_rejected() =>
        Assert.Throws<InputException>(() => PictureFile.Decode(PictureTestFiles.Png(0, 1, 8, 2, [0, 0, 0]), "none.png"));

    [Theory]
    [InlineData("just words, no picture")]
    [InlineData("RIFF\u0024\0\0\0WAVEfmt ")]
    [InlineData("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"10\" height=\"10\"></svg>")]
    [InlineData("%PDF-1.4\n1 0 obj\n<<>>\nendobj\n")]
    public void Other_content_is_rejected_by_type(string content)
    {
        using var folder = new TemporaryFolder();
        var path = folder.Add("x.jpg", content);
        var message = Assert.Throws<InputException>(() => PictureFile.Load(path)).Message;
        Assert.Contains("not JPEG, PNG, WebP, TIFF, GIF", message, StringComparison.Ordinal);
        Assert.Contains(path, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_and_empty_files_and_folders_are_distinguished()
    {
        using var folder = new TemporaryFolder();
        string Message(string path) => Assert.Throws<InputException>(() => PictureFile.Load(path)).Message;
        Assert.Contains("no picture", Message(Path.Combine(folder.Path, "none.png")), StringComparison.Ordinal);
        Assert.Contains("empty", Message(folder.Add("empty.png", "")), StringComparison.Ordinal);
        Assert.Contains("folder", Message(folder.Path), StringComparison.Ordinal);
    }

    [Fact]
    public void Bitmaps_of_8_24_and_32_bits_are_read()
    {
        // Rows are stored bottom-up and padded to 4 bytes; bytes are B, G, R.
        var rgb = PictureFile.Decode(PictureTestFiles.Bmp(1, 2, 24, [3, 2, 1, 0, 6, 5, 4, 0]), "24.bmp").Picture;
        Assert.Equal(new byte[] { 4, 5, 6, 1, 2, 3 }, rgb.Pixels.ToArray());
        var topDown = PictureFile.Decode(PictureTestFiles.Bmp(1, -2, 32, [3, 2, 1, 0, 6, 5, 4, 0]), "32.bmp").Picture;
        Assert.Equal(new byte[] { 1, 2, 3, 4, 5, 6 }, topDown.Pixels.ToArray());
        var palette = PictureFile.Decode(PictureTestFiles.Bmp(2, 1, 8, [1, 0, 0, 0], [9, 8, 7, 0, 3, 2, 1, 0]), "8.bmp");
        Assert.Equal(new byte[] { 1, 2, 3, 7, 8, 9 }, palette.Picture.Pixels.ToArray());
        Assert.Equal(PictureFormat.Bmp, palette.Info.Format);
    }

    [Fact]
    public void Broken_bitmaps_are_rejected_with_the_reason()
    {
        string Message(byte[] bmp) => Assert.Throws<InputException>(() => PictureFile.Decode(bmp, "x.bmp")).Message;
        var good = PictureTestFiles.Bmp(2, 2, 24, new byte[16]);
        Assert.Contains("truncated", Message(good[..^1]), StringComparison.Ordinal);
        Assert.Contains("header", Message(good[..40]), StringComparison.Ordinal);
        Assert.Contains(
            "compression 1",
            Message(PictureTestFiles.Bmp(2, 2, 8, new byte[16], new byte[8], compression: 1)),
            StringComparison.Ordinal
        );
        Assert.Contains("16 bits", Message(PictureTestFiles.Bmp(2, 2, 16, new byte[16])), StringComparison.Ordinal);
        Assert.Contains("0 x 2", Message(PictureTestFiles.Bmp(0, 2, 24, new byte[16])), StringComparison.Ordinal);
        Assert.Contains("palette of 1", Message(PictureTestFiles.Bmp(1, 1, 8, [1, 0, 0, 0], new byte[4])), StringComparison.Ordinal);
        Assert.Contains("more than", Message(PictureTestFiles.Bmp(100_000, 100_000, 24, [])), StringComparison.Ordinal);
        var outside = (byte[])good.Clone();
        BinaryPrimitives.WriteInt32LittleEndian(outside.AsSpan(10), 1 << 30);
        Assert.Contains("outside", Message(outside), StringComparison.Ordinal);
        var lowest = (byte[])good.Clone();
        BinaryPrimitives.WriteInt32LittleEndian(lowest.AsSpan(22), int.MinValue);
        Assert.Contains("more than", Message(lowest), StringComparison.Ordinal);
    }
}
