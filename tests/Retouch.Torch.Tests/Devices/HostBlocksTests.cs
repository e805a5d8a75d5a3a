using Retouch.Torch.Devices;

namespace Retouch.Torch.Tests.Devices;

public sealed class HostBlocksTests
{
    [Fact]
    public void Loading_the_library_does_not_replace_the_allocator()
    {
        using var scope = TensorScope.Enter();
        var before = BlocksInUse.Figures(false)[0];
        using var large = Ops.Zeros([1L << 20]);
        Assert.Equal(before, BlocksInUse.Figures(false)[0]);
    }

    [Fact]
    public void Freed_blocks_are_reused_within_the_bound()
    {
        using var scope = TensorScope.Enter();
        using var blocks = BlocksInUse.Watch();
        using (Ops.Zeros([24L << 20]))
        {
            Assert.Equal(96L << 20, blocks.Added);
            Assert.True(blocks.Peak >= blocks.Added);
        }

        Assert.Equal(0, blocks.Added);
        var waiting = BlocksInUse.Figures(false)[2];
        Assert.True(waiting >= 96L << 20, $"{waiting} bytes wait");
        using var again = Ops.Zeros([24L << 20]);
        Assert.Equal(waiting - (96L << 20), BlocksInUse.Figures(false)[2]);
        Assert.Equal(0, again.Sum().Item());
    }

    [Fact]
    public void A_tensor_is_freed_by_its_own_allocator()
    {
        using var scope = TensorScope.Enter();
        var usual = Ops.Ones([1L << 20]);
        using var blocks = BlocksInUse.Watch();
        var block = Ops.Ones([1L << 20]);
        usual.Dispose();
        Assert.Equal(4L << 20, blocks.Added);
        HostBlocks.Reuse(false);
        Assert.Equal(1 << 20, block.Sum().Item());
        block.Dispose();
        Assert.Equal(0, blocks.Added);
    }
}
