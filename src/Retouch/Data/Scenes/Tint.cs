namespace Retouch.Data.Scenes;

/// <summary>An sRGB colour in [0, 1] per channel; intermediate values can exceed the range.</summary>
internal readonly record struct Tint(double R, double G, double B)
{
    public static Tint White => new(1, 1, 1);

    public static Tint operator *(Tint tint, double factor) => new(tint.R * factor, tint.G * factor, tint.B * factor);

    public static Tint operator +(Tint a, Tint b) => new(a.R + b.R, a.G + b.G, a.B + b.B);

    /// <summary>Colour 0xRRGGBB.</summary>
    public static Tint Of(int rgb) => new((rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0);

    /// <summary>Linear interpolation from this colour (0) to the other (1).</summary>
    public Tint Toward(Tint other, double share) => this * (1 - share) + other * share;
}
