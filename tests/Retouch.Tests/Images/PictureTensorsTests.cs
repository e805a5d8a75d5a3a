using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Tests.Images;

[Collection(LiveTensorCollection.Name)]
public sealed class PictureTensorsTests
{
    [Fact]
    public void Every_level_survives_a_round_trip()
    {
        var all = new Picture(16, 16);
        for (var i = 0; i < 256; i++)
            all[i % 16, i / 16] = new Rgb((byte)i, (byte)(255 - i), (byte)(i ^ 85));
        var live = Tensor.LiveCount;
        using (TensorScope.Enter())
        {
            var images = PictureTensors.ToTensor([all, all.FlipHorizontal()]);
            Assert.Equal([2L, 3, 16, 16], images.Shape);
            var values = images.ToArray<float>();
            Assert.Equal((-1f, 1f), (values.Min(), values.Max()));
            // Green of the first picture's second row.
            Assert.Equal((255 - 16) / 127.5f - 1f, values[256 + 16]);
            var back = PictureTensors.ToPictures(images);
            Assert.True(back[0].SameAs(all));
            Assert.True(back[1].SameAs(all.FlipHorizontal()));
        }

        Assert.Equal(live, Tensor.LiveCount);
    }

    [Fact]
    public void Values_out_of_range_are_clamped()
    {
        using var images = Tensor.From(new[] { -7f, 7f, float.NaN, float.PositiveInfinity, 0f, 0.999f }, 1, 3, 1, 2);
        Assert.Equal(new byte[] { 0, 0, 128, 255, 255, 255 }, PictureTensors.ToPictures(images)[0].Pixels.ToArray());
    }

    [Fact]
    public void Invalid_shapes_are_rejected()
    {
        Assert.Throws<ArgumentException>(() => PictureTensors.ToTensor([new Picture(2, 2), new Picture(3, 2)]));
        Assert.Throws<ArgumentException>(() => PictureTensors.ToTensor([]));
        using var gray = Tensor.From(new float[4], 1, 1, 2, 2);
        Assert.Throws<ArgumentException>(() => PictureTensors.ToPictures(gray));
    }
}
