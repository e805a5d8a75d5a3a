namespace Retouch.Torch;

/// <summary>A numeric operator argument; the default value selects the schema's default.</summary>
public readonly struct Scalar
{
    private Scalar(ScalarKind kind, long integer, double real)
    {
        Kind = kind;
        Integer = integer;
        Real = real;
    }

    internal enum ScalarKind
    {
        SchemaDefault,
        Integer,
        Real,
    }

    internal ScalarKind Kind { get; }

    internal long Integer { get; }

    internal double Real { get; }

    /// <summary>Floating-point argument.</summary>
    public static implicit operator Scalar(double value) => new(ScalarKind.Real, 0, value);

    /// <summary>Integer argument; integer tensors stay integer.</summary>
    public static implicit operator Scalar(long value) => new(ScalarKind.Integer, value, 0);

    /// <inheritdoc cref="op_Implicit(long)"/>
    public static implicit operator Scalar(int value) => new(ScalarKind.Integer, value, 0);
}
