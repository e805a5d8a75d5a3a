using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Objectives;

/// <summary>
/// Weight of a term: a number; a gradient ratio, the norm of the term's gradient at the network's output relative to the diffusion loss's;
/// or a share of the total loss. The last two are measured over a warm-up of optimiser steps and then frozen. In JSON: <c>3</c>,
/// <c>{"gradientRatio": 0.3}</c>, <c>{"share": 0.2}</c>, the last two with an optional <c>"warmUp"</c>; <c>"auto"</c> is a share of 0.2
/// with a warm-up of 200 steps.
/// </summary>
[JsonConverter(typeof(TermWeightConverter))]
[JsonForm("a number, \"auto\", {\"gradientRatio\": number} or {\"share\": number}, the last two with an optional \"warmUp\": steps,")]
public readonly record struct TermWeight
{
    /// <summary>Share of <c>auto</c>: about a fifth, as [LPL] reports for w = 3.</summary>
    public const double DefaultShare = 0.2;

    /// <summary>Default warm-up of a measured weight, in optimiser steps.</summary>
    public const int DefaultWarmUp = 100;

    /// <summary>Warm-up of <c>auto</c>, in optimiser steps.</summary>
    public const int AutoWarmUp = 200;

    /// <summary>The number; null for a measured weight.</summary>
    public double? Fixed { get; private init; }

    /// <summary>Target share of the total loss, in (0, 1), or null.</summary>
    [Bounds(Above = 0, Below = 1)]
    public double? Share { get; private init; }

    /// <summary>
    /// Target norm of the term's gradient at the network's output relative to that of the diffusion loss, above 0, or null.
    /// </summary>
    [Bounds(Above = 0)]
    public double? GradientRatio { get; private init; }

    /// <summary>Warm-up of a measured weight in optimiser steps; null for <see cref="DefaultWarmUp"/>.</summary>
    [Bounds(AtLeast = 1)]
    public int? WarmUp { get; internal init; }

    /// <summary>A share of a fifth, with a warm-up of 200 steps.</summary>
    public static TermWeight Auto => OfShare(DefaultShare, AutoWarmUp);

    /// <summary>A fixed weight.</summary>
    public static implicit operator TermWeight(double value) => FromDouble(value);

    /// <summary>A fixed weight.</summary>
    public static TermWeight FromDouble(double value) => new() { Fixed = value };

    /// <summary>A share of the total loss.</summary>
    public static TermWeight OfShare(double share, int? warmUp = null) => new() { Share = share, WarmUp = warmUp };

    /// <summary>A gradient ratio.</summary>
    public static TermWeight OfGradientRatio(double ratio, int? warmUp = null) => new() { GradientRatio = ratio, WarmUp = warmUp };

    /// <inheritdoc/>
    public override string ToString()
    {
        if (Fixed is { } value)
            return value.ToString("R", CultureInfo.InvariantCulture);
        var measured = Share is { } share
            ? string.Create(CultureInfo.InvariantCulture, $"share {share:R}")
            : string.Create(CultureInfo.InvariantCulture, $"gradient ratio {GradientRatio:R}");
        return WarmUp is { } steps ? string.Create(CultureInfo.InvariantCulture, $"{measured}, warm-up {steps}") : measured;
    }

    /// <summary>Validates the weight.</summary>
    /// <param name="check">Receives the problems.</param>
    /// <param name="member">Name of the member.</param>
    internal void Validate(Requirements check, string member)
    {
        check.That(
            Fixed is not { } value || (double.IsFinite(value) && value > 0),
            member,
            "must be a number above 0, {\"gradientRatio\": …} or {\"share\": …}; remove the objective to disable it"
        );
        check.Under(member).Members(this);
    }
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
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new JsonException();
        double? share = null,
            ratio = null;
        int? warmUp = null;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var name = reader.GetString();
            if (!reader.Read() || reader.TokenType != JsonTokenType.Number)
                throw new JsonException();
            switch (name)
            {
                case "share":
                    share = reader.GetDouble();
                    break;
                case "gradientRatio":
                    ratio = reader.GetDouble();
                    break;
                case "warmUp" when reader.TryGetInt32(out var steps):
                    warmUp = steps;
                    break;
                default:
                    throw new JsonException();
            }
        }

        if (share.HasValue == ratio.HasValue)
            throw new JsonException();
        return share is { } s ? TermWeight.OfShare(s, warmUp) : TermWeight.OfGradientRatio(ratio!.Value, warmUp);
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, TermWeight value, JsonSerializerOptions options)
    {
        if (value.Fixed is { } number)
        {
            writer.WriteNumberValue(number);
            return;
        }

        writer.WriteStartObject();
        if (value.Share is { } share)
            writer.WriteNumber("share", share);
        else if (value.GradientRatio is { } ratio)
            writer.WriteNumber("gradientRatio", ratio);
        if (value.WarmUp is { } steps)
            writer.WriteNumber("warmUp", steps);
        writer.WriteEndObject();
    }
}
