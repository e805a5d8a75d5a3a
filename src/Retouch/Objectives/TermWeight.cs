using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Retouch.Objectives;

/// <summary>
/// The weight of a term: a number, or <c>auto</c>, which scales the term to a share of the total. In JSON a number or the text "auto".
/// </summary>
[JsonConverter(typeof(TermWeightConverter))]
public readonly record struct TermWeight
{
    private TermWeight(double? value) => Fixed = value;

    /// <summary>Scaled to a share of the total.</summary>
    public static TermWeight Auto => new(null);

    /// <summary>The number; null for <c>auto</c>.</summary>
    public double? Fixed { get; }

    /// <summary>A fixed weight.</summary>
    public static implicit operator TermWeight(double value) => new(value);

    /// <summary>A fixed weight.</summary>
    public static TermWeight FromDouble(double value) => new(value);

    /// <inheritdoc/>
    public override string ToString() => Fixed?.ToString("R", CultureInfo.InvariantCulture) ?? "auto";
}

/// <summary>Reads and writes a <see cref="TermWeight"/>.</summary>
public sealed class TermWeightConverter : JsonConverter<TermWeight>
{
    /// <inheritdoc/>
    public override TermWeight Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.Number)
            return reader.GetDouble();
        if (reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("auto"u8))
            return TermWeight.Auto;
        throw new JsonException("A weight is a number or \"auto\".");
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, TermWeight value, JsonSerializerOptions options)
    {
        if (value.Fixed is { } number)
            writer.WriteNumberValue(number);
        else
            writer.WriteStringValue("auto");
    }
}
