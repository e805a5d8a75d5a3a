using System.Text;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Core.Tests.Io;

/// <summary>Third-party captions and lists in various encodings.</summary>
public sealed class PlainTextTests
{
    private const string Text = "ein Bär, 狐\r\nnext";

    [Fact]
    public void Utf8_and_marked_encodings_are_read()
    {
        foreach (
            var encoding in (Encoding[])
                [
                    new UTF8Encoding(encoderShouldEmitUTF8Identifier: false),
                    new UTF8Encoding(encoderShouldEmitUTF8Identifier: true),
                    new UnicodeEncoding(bigEndian: false, byteOrderMark: true),
                    new UnicodeEncoding(bigEndian: true, byteOrderMark: true),
                    new UTF32Encoding(bigEndian: false, byteOrderMark: true),
                    new UTF32Encoding(bigEndian: true, byteOrderMark: true),
                ]
        )
        {
            Assert.Equal(Text, PlainText.Decode([.. encoding.GetPreamble(), .. encoding.GetBytes(Text)], "'a'"));
        }

        Assert.Equal("", PlainText.Decode([], "'a'"));
    }

    [Theory]
    [InlineData(new byte[] { (byte)'a', (byte)'\n', (byte)'c', 0xE9 }, "'x.txt' is not UTF-8 text: byte 4, in line 2,")] // Windows-1252
    [InlineData(new byte[] { 0xD2, 0xBB, 0xD6, 0xBB, 0xBA, 0xEC }, "byte 5, in line 1,")] // GBK
    [InlineData(new byte[] { (byte)'a', 0, (byte)'b', 0 }, "zero bytes, as UTF-16 without a byte-order mark")]
    [InlineData(new byte[] { 0xFF, 0xFE, 0x00, 0xD8 }, "not UTF-16 text")] // unpaired surrogate
    [InlineData(new byte[] { 0xEF, 0xBB, 0xBF, 0xE9 }, "byte 4,")]
    public void Other_bytes_are_refused_by_name_and_place(byte[] bytes, string words)
    {
        var message = Assert.Throws<InputException>(() => PlainText.Decode(bytes, "'x.txt'")).Message;
        Assert.Contains(words, message, StringComparison.Ordinal);
        Assert.Contains("Save it as UTF-8.", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a\nb\n")]
    [InlineData("a\r\nb")]
    [InlineData("\uFEFFa\rb\r")]
    public void All_line_endings_are_accepted(string text)
    {
        var file = Path.GetTempFileName();
        File.WriteAllText(file, text, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        Assert.Equal(["a", "b"], PlainText.ReadLines(file));
        File.Delete(file);
        Assert.Contains(
            $"'{file}': it does not exist",
            Assert.Throws<InputException>(() => PlainText.Read(file)).Message,
            StringComparison.Ordinal
        );
    }
}
