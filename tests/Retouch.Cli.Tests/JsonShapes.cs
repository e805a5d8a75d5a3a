using System.Reflection;
using System.Security;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Retouch.Cli.Tests;

/// <summary>
/// Members of JSON documents according to the serializer's contract, one line each: <c>path: type</c>. In a path, <c>[]</c> is the
/// element of an array and <c>{}</c> the value of any key. A type with <c>?</c> is optional; an enumeration lists its values.
/// </summary>
internal static class JsonShapes
{
    private static readonly HashSet<Type> Numbers =
    [
        typeof(byte),
        typeof(short),
        typeof(int),
        typeof(long),
        typeof(uint),
        typeof(ulong),
        typeof(float),
        typeof(double),
        typeof(decimal),
    ];

    private static readonly HashSet<Type> Texts =
    [
        typeof(string),
        typeof(char),
        typeof(Guid),
        typeof(Uri),
        typeof(DateTime),
        typeof(DateTimeOffset),
        typeof(DateOnly),
        typeof(TimeSpan),
        typeof(Version),
        typeof(byte[]),
    ];

    /// <summary>Lines of a type.</summary>
    public static IReadOnlyList<string> Of(Type type, JsonSerializerOptions options)
    {
        List<string> lines = [];
        Add(type, "", mayLack: false, [], options, lines);
        return lines;
    }

    /// <summary>Name of a type in C# syntax, without namespaces.</summary>
    public static string NameOf(Type type) =>
        type.IsArray
            ? NameOf(type.GetElementType()!) + "[]"
            : (type.DeclaringType is { } outer && !type.IsGenericParameter ? NameOf(outer) + "." : "")
                + type.Name.Split('`')[0]
                + (type.IsGenericType ? $"<{string.Join(", ", type.GetGenericArguments().Select(NameOf))}>" : "");

    /// <summary>
    /// Type arguments of all calls of the assembly's generic methods of a name. For <c>Output.Write</c>, and methods of that name that
    /// forward results to it, these are the types of all results.
    /// </summary>
    public static IReadOnlySet<Type> Arguments(Module module, string method)
    {
        const int MethodSpecifications = 0x2B00_0000;
        HashSet<Type> found = [];
        // A call within another generic method of that name has that method's type parameter, which is not a result.
        Type[] passedOn = [.. Enumerable.Repeat(typeof(PassedOn), 8)];
        for (var row = 1; ; row++)
        {
            MethodBase? called;
            try
            {
                called = module.ResolveMethod(MethodSpecifications + row, passedOn, passedOn);
            }
            catch (VerificationException)
            {
                // A call with a constrained type parameter, such as an enumeration, which is not a result either.
                continue;
            }
            catch (ArgumentOutOfRangeException)
            {
                found.Remove(typeof(PassedOn));
                return found;
            }

            if (called?.Name == method && called.DeclaringType?.Module == module)
                found.Add(called.GetGenericArguments().Single());
        }
    }

    private static void Add(Type type, string path, bool mayLack, List<Type> outer, JsonSerializerOptions options, List<string> lines)
    {
        var plain = Nullable.GetUnderlyingType(type) ?? type;
        var lack = mayLack || plain != type ? "?" : "";
        void Line(string kind) => lines.Add($"{(path.Length == 0 ? "." : path)}: {kind}{lack}");
        var contract = options.GetTypeInfo(plain);
        if (contract.PolymorphismOptions is not null)
            throw new NotSupportedException($"{plain} is polymorphic; its derived types would not be listed.");
        if (outer.Contains(plain))
            Line($"{NameOf(plain)} again");
        else if (Scalar(plain, options) is { } kind)
            Line(kind);
        else if (contract.Kind == JsonTypeInfoKind.Object)
        {
            Line("object");
            // Members without a fixed name in the contract; each has its own entry.
            if (contract.Properties.Any(static m => m.IsExtensionData))
                lines.Add($"{path}.*: any".TrimStart('.'));
            foreach (
                var member in contract
                    .Properties.Where(static m => m is { Get: not null, IsExtensionData: false })
                    .OrderBy(static m => m.Name, StringComparer.Ordinal)
            )
                Add(member.PropertyType, $"{path}.{member.Name}".TrimStart('.'), member.IsGetNullable, [.. outer, plain], options, lines);
        }
        else if (contract.Kind == JsonTypeInfoKind.Dictionary)
        {
            Line("object");
            Add(ElementOf(plain).GetGenericArguments()[1], path + "{}", mayLack: false, [.. outer, plain], options, lines);
        }
        else if (contract.Kind == JsonTypeInfoKind.Enumerable)
        {
            Line("array");
            Add(ElementOf(plain), path + "[]", mayLack: false, [.. outer, plain], options, lines);
        }
        else
            Line($"as {contract.Converter.GetType().Name} writes it");
    }

    private static string? Scalar(Type type, JsonSerializerOptions options) =>
        type == typeof(bool) ? "boolean"
        : Numbers.Contains(type) ? "number"
        : Texts.Contains(type) ? "string"
        : type.IsEnum ? $"string ({string.Join(", ", Enum.GetValues(type).Cast<object>().Select(v => Text(v, type, options)).Distinct())})"
        : typeof(JsonNode).IsAssignableFrom(type) || type == typeof(JsonElement) || type == typeof(object) ? "any"
        : null;

    private static string Text(object value, Type type, JsonSerializerOptions options) =>
        JsonSerializer.SerializeToElement(value, type, options).GetString()!;

    /// <summary>Element type of a sequence.</summary>
    private static Type ElementOf(Type type) =>
        type.GetInterfaces()
            .Append(type)
            .First(static i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IEnumerable<>))
            .GetGenericArguments()[0];

    private sealed class PassedOn;
}
