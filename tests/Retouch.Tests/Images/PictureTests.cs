using Retouch.Images;

namespace Retouch.Tests.Images;

public sealed class PictureTests
{
    [Fact]
    public void Bytes_must_fit_the_size()
    {
        Assert.Throws<ArgumentException>(() => new Picture(2, 2, new byte[11]));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Picture(0, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => PictureTestFiles.Gradient(3, 2)[3, 0]);
    }

    [Fact]
    public void Crop_takes_the_named_pixels()
    {
        var picture = PictureTestFiles.Gradient(9, 7);
        var part = picture.Crop(2, 3, 4, 2);
        for (var y = 0; y < 2; y++)
        {
            for (var x = 0; x < 4; x++)
                Assert.Equal(picture[2 + x, 3 + y], part[x, y]);
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => picture.Crop(6, 0, 4, 2));
        Assert.Equal(picture[2, 2], picture.CropCenter(4, 2)[0, 0]);
    }

    [Fact]
    public void Flipping_is_an_involution()
    {
        var picture = PictureTestFiles.Gradient(5, 3);
        var flipped = picture.FlipHorizontal();
        Assert.Equal(picture[0, 1], flipped[4, 1]);
        Assert.False(flipped.SameAs(picture));
        Assert.True(flipped.FlipHorizontal().SameAs(picture));
    }

    [Fact]
    public void Grid_places_pictures_row_by_row_in_equal_cells()
    {
        var red = Picture.Filled(4, 6, new Rgb(255, 0, 0));
        var green = Picture.Filled(2, 2, new Rgb(0, 255, 0));
        var blue = Picture.Filled(4, 6, new Rgb(0, 0, 255));
        var grid = PictureGrid.Compose(
            [red, green, blue],
            new PictureGridLayout
            {
                Columns = 2,
                Gap = 1,
                Margin = 3,
                Background = Rgb.Black,
            }
        );

        Assert.Equal((3 + 4 + 1 + 4 + 3, 3 + 6 + 1 + 6 + 3), (grid.Width, grid.Height));
        Assert.Equal(red[0, 0], grid[3, 3]);
        Assert.Equal(Rgb.Black, grid[8, 3]);
        Assert.Equal(green[0, 0], grid[9, 5]);
        Assert.Equal(blue[0, 0], grid[6, 15]);
        Assert.Equal(Rgb.Black, grid[12, 15]);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(4, 2)]
    [InlineData(5, 3)]
    public void Grid_is_square_unless_told(int count, int columns)
    {
        var grid = PictureGrid.Compose(
            [.. Enumerable.Range(0, count).Select(_ => new Picture(10, 10))],
            new PictureGridLayout { Gap = 0, Margin = 0 }
        );
        Assert.Equal(columns * 10, grid.Width);
    }
}
