namespace Retouch.Data.Scenes;

/// <summary>Signed distances: negative inside, in coordinate units.</summary>
internal static class Shapes
{
    public static double Circle(double x, double y, double radius) => Pattern.Length(x, y) - radius;

    /// <summary>Approximate distance, accurate near the edge.</summary>
    public static double Ellipse(double x, double y, double rx, double ry) => (Pattern.Length(x / rx, y / ry) - 1) * Math.Min(rx, ry);

    public static double Box(double x, double y, double halfWidth, double halfHeight, double round = 0)
    {
        double dx = Math.Abs(x) - halfWidth + round,
            dy = Math.Abs(y) - halfHeight + round;
        return Pattern.Length(Math.Max(dx, 0), Math.Max(dy, 0)) + Math.Min(Math.Max(dx, dy), 0) - round;
    }

    public static double Line(double x, double y, (double X, double Y) from, (double X, double Y) to, double radius)
    {
        double dx = to.X - from.X,
            dy = to.Y - from.Y;
        var along = Math.Clamp(((x - from.X) * dx + (y - from.Y) * dy) / (dx * dx + dy * dy), 0, 1);
        return Pattern.Length(x - from.X - along * dx, y - from.Y - along * dy) - radius;
    }

    /// <summary>Simple polygon, given by its corners.</summary>
    public static double Polygon(double x, double y, ReadOnlySpan<(double X, double Y)> corners)
    {
        var nearest = double.MaxValue;
        var inside = false;
        var previous = corners[^1];
        foreach (var corner in corners)
        {
            double dx = previous.X - corner.X,
                dy = previous.Y - corner.Y;
            double px = x - corner.X,
                py = y - corner.Y;
            var along = Math.Clamp((px * dx + py * dy) / (dx * dx + dy * dy), 0, 1);
            double ox = px - along * dx,
                oy = py - along * dy;
            nearest = Math.Min(nearest, ox * ox + oy * oy);
            if (corner.Y > y != previous.Y > y && px < dx * py / dy)
                inside = !inside;
            previous = corner;
        }

        return inside ? -Math.Sqrt(nearest) : Math.Sqrt(nearest);
    }
}
