using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Retouch.Objectives;

/// <summary>
/// The weight of a term: a number; a gradient ratio, so that the term's gradient at the network's output is that many times the diffusion
/// loss's; or a share of
/// the total loss. The last two are measured over a warm-up of optimiser steps and frozen then. In JSON: <c>3</c>, <c>{"gradientRatio":
/// 0.3}</c>,
/// <c>{"share": 0.2}</c>, the last two with <c>"warmUp"</c> beside; <c>"auto"</c> is a share of 0.2 after 200 steps.
/// </summary>
[JsonConverter(typeof(TermWeightConverter))]
public readonly record struct TermWeight
{
    /// <summary>The share that <c>auto</c> stands for: about a fifth, as [LPL] reports for w = 3.</summary>
    public const double DefaultShare = 0.2;

    /// <summary>Optimiser steps until a measured weight is frozen, where no number is given.</summary>
    public const int DefaultWarmUp = 100;

    /// <summary>The warm-up that <c>auto</c> stands for.</summary>
    public const int AutoWarmUp = 200;

    /// <summary>The number; null for a weight that is measured.</summary>
    public double? Fixed { get; private init; }

    /// <summary>The wanted part of the total, in (0, 1); null for other weights.</summary>
    public double? Share { get; private init; }

    /// <summary>The wanted norm of the term's gradient at the network's output over that of the diffusion loss, above 0; null for other
    /// weights.</summary>
    public double? GradientRatio { get; private init; }

    /// <summary>Optimiser steps until a measured weight is frozen; null for <see cref="DefaultWarmUp"/>.</summary>
    public int? WarmUp { get; private init; }

    /// <summary>A share of a fifth, measured over 200 steps.</summary>
    public static TermWeight Auto => OfShare(DefaultShare, AutoWarmUp);

    /// <summary>A fixed weight.</summary>
    public static implicit operator TermWeight(double value) => FromDouble(value);

    /// <summary>A fixed weight.</summary>
    public static TermWeight FromDouble(double value) => new() { Fixed = value };

    /// <summary>Scaled to a share of the total.</summary>
    public static TermWeight OfShare(double share, int? warmUp = null) => new() { Share = share, WarmUp = warmUp };

    /// <summary>Scaled to a ratio of gradients.</summary>
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

    /// <summary>Collects what is wrong with it.</summary>
    internal void Check(Problems problems, string member)
    {
        problems.When(
            Fixed is { } value && (!double.IsFinite(value) || value <= 0),
            member,
            "must be a number above 0, {\"gradientRatio\": …} or {\"share\": …}; leave the objective out to do without it"
        );
        problems.When(Share is not (null or (> 0 and < 1)), member + ".share", "must lie in (0, 1)");
        problems.When(
            GradientRatio is { } ratio && (!double.IsFinite(ratio) || ratio <= 0),
            member + ".gradientRatio",
            "must be a number above 0"
        );
        problems.When(WarmUp is < 1, member + ".warmUp", "must be at least 1");
    }
}

/// <summary>Reads and writes a <see cref="TermWeight"/>.</summary>
public sealed class TermWeightConverter : JsonConverter<TermWeight>
{
    private const string Forms =
        "A weight is a number, \"auto\", {\"gradientRatio\": number} or {\"share\": number}, "
        + "the last two with \"warmUp\": steps if wanted.";

    /// <inheritdoc/>
    public override TermWeight Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.Number)
            return reader.GetDouble();
        if (reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("auto"u8))
            return TermWeight.Auto;
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new JsonException(Forms);
        double? share = null,
            ratio = null;
        int? warmUp = null;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var name = reader.GetString();
            if (!reader.Read() || reader.TokenType != JsonTokenType.Number)
                throw new JsonException($"'{name}' of a weight is a number. {Forms}");
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
                    throw new JsonException($"'{name}' is no member of a weight. {Forms}");
            }
        }

        if (share.HasValue == ratio.HasValue)
            throw new JsonException(Forms);
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
