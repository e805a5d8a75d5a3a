using Retouch.Data.Tables;

namespace Retouch.Tests.Data.Tables;

public class BoundedStreamTests
{
    [Fact]
    public void Reading_in_a_cycle_ends_with_an_error()
    {
        using var stream = new BoundedStream(new MemoryStream(new byte[10]), 25);
        var buffer = new byte[10];
        for (var round = 0; round < 2; round++)
        {
            stream.Position = 0;
            Assert.Equal(10, stream.Read(buffer, 0, 10));
        }

        stream.Position = 0;
        Assert.Throws<TableFaultException>(() => stream.Read(buffer, 0, 10));
    }

    [Fact]
    public void Reading_at_the_end_without_end_is_an_error()
    {
        using var stream = new BoundedStream(new MemoryStream(new byte[10]), 25);
        Assert.Equal(10, stream.Read(new byte[20]));
        for (var k = 0; k < 15; k++)
            Assert.Equal(-1, stream.ReadByte());
        Assert.Throws<TableFaultException>(() => stream.ReadByte());
    }
}
