using Retouch.Data;

namespace Retouch.Tests.Data;

public sealed class CachedPicturesTests
{
    [Fact]
    public void Pictures_within_the_budget_are_read_once()
    {
        var source = new FakeSource(4);
        // Three pictures of 8 * 8 * 3 bytes.
        var cached = new CachedPictures(source, minSide: 0, maxBytes: 3 * 192 + 100);
        for (var round = 0; round < 3; round++)
        {
            for (var i = 0; i < 4; i++)
                Assert.True(cached.Load(i).Picture.SameAs(source.Load(i).Picture));
        }

        // Twelve for the comparison; three cached ones, and the fourth in each round.
        Assert.Equal(12 + 3 + 3, source.Loads);
        Assert.Equal(3 * 192, cached.KeptBytes);
        Assert.Equal((source[2], source.Count), (cached[2], cached.Count));
        Assert.Throws<ArgumentException>(() => cached.Load(0, minSide: 5));
    }
}
