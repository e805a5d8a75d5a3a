using System.Text.Json;
using System.Text.Json.Serialization;

namespace Retouch.Core.Json;

/// <summary>
/// Reads enumerations by their members' exact names in camel case. The library's converter also accepts "left, right" as a combination.
/// </summary>
internal sealed class ExactEnumConverter : JsonConverterFactory
{
    /// <inheritdoc/>
    public override bool CanConvert(Type typeToConvert) => typeToConvert.IsEnum;

    /// <inheritdoc/>
    public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
        (JsonConverter)Activator.CreateInstance(typeof(Exact<>).MakeGenericType(typeToConvert))!;

    private sealed class Exact<T> : JsonConverter<T>
        where T : struct, Enum
    {
        private static readonly Dictionary<string, T> Members = Enum.GetValues<T>().ToDictionary(NameOf, StringComparer.Ordinal);

        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.String && Members.TryGetValue(reader.GetString()!, out var value)
                ? value
                : throw new JsonException();

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(NameOf(value));

        private static string NameOf(T value) => JsonNamingPolicy.CamelCase.ConvertName(value.ToString());
    }
}
