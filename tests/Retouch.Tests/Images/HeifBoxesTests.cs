using System.Text;
using Retouch.Images;

namespace Retouch.Tests.Images;

/// <summary>AVIF and HEIC containers without a picture are recognised by their boxes.</summary>
public sealed class HeifBoxesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("a.heic", "\0\0\0\u0010ftypheic\0\0\0\0\0\0\0\u0008meta", false)]
    [InlineData("a.heic", "\0\0\0\u0010ftypheic\0\0\0\0\0\0\0\u000cfreeabcd\0\0\0\u0008meta", false)]
    [InlineData("a.avif", "\0\0\0\u0010ftypavis\0\0\0\0\0\0\0\u0001free\0\0\0\0\0\0\0\u0010\0\0\0\u0008moov", false)]
    [InlineData("a.heif", "\0\0\0\u0010ftypmif1\0\0\0\0", true)]
    [InlineData("a.HEIC", "\0\0\0\u0018ftypheic", true)]
    [InlineData("a.avif", "\0\0\0\u0010ftypavif\0\0\0\0\0\0\0\0free", true)] // the second box extends to the end
    [InlineData("a.avif", "\u0089PNG\r\n\u001a\n", false)] // a PNG under another name: its reader has a better message
    [InlineData("a.png", "\0\0\0\u0010ftypmif1\0\0\0\0", false)]
    public void Containers_without_a_picture(string name, string content, bool empty)
    {
        var path = Path.Combine(_folder.Path, name);
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes(content));
        Assert.Equal(empty, HeifBoxes.AreEmpty(path));
    }
}
