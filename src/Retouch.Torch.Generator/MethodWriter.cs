using System.Globalization;
using System.Text;

namespace Retouch.Torch.Generators;

/// <summary>Writes the C# method of an operator.</summary>
internal static class MethodWriter
{
    private static readonly Dictionary<string, string> ArgumentTypes = new()
    {
        ["Tensor"] = "Tensor",
        ["Tensor?"] = "Tensor?",
        ["Tensor[]"] = "global::System.ReadOnlySpan<Tensor>",
        ["Tensor?[]"] = "global::System.ReadOnlySpan<Tensor?>",
        ["int"] = "long",
        ["int?"] = "long?",
        ["int[]"] = "global::System.ReadOnlySpan<long>",
        ["int[]?"] = "global::System.ReadOnlySpan<long>",
        ["float"] = "double",
        ["float?"] = "double?",
        ["float[]"] = "global::System.ReadOnlySpan<double>",
        ["float[]?"] = "global::System.ReadOnlySpan<double>",
        ["bool"] = "bool",
        ["bool?"] = "bool?",
        ["bool[]"] = "global::System.ReadOnlySpan<bool>",
        ["Scalar"] = "Scalar",
        ["Scalar?"] = "Scalar?",
        ["ScalarType"] = "DType",
        ["ScalarType?"] = "DType?",
        ["Device"] = "Device",
        ["Device?"] = "Device?",
        ["Generator?"] = "Generator?",
        ["str"] = "string",
        ["str?"] = "string?",
        ["Layout?"] = "Layout?",
        ["MemoryFormat"] = "MemoryFormat",
        ["MemoryFormat?"] = "MemoryFormat?",
    };

    private static readonly Dictionary<string, string> ReturnTypes = new()
    {
        ["Tensor"] = "Tensor",
        ["Tensor[]"] = "Tensor[]",
        ["int"] = "long",
        ["SymInt"] = "long",
        ["float"] = "double",
        ["bool"] = "bool",
        ["Scalar"] = "double",
        ["ScalarType"] = "DType",
    };

    private static readonly char[] Underscore = { '_' };

    private static readonly HashSet<string> Keywords = new()
    {
        "out",
        "in",
        "ref",
        "base",
        "this",
        "params",
        "implicit",
        "explicit",
        "checked",
        "fixed",
        "lock",
        "is",
        "as",
        "operator",
        "event",
        "default",
        "else",
    };

    public static void Check(Schema schema)
    {
        foreach (var argument in schema.Arguments)
        {
            if (!ArgumentTypes.ContainsKey(argument.Type))
                throw new FormatException("argument type '" + argument.Type + "' is not supported");
        }

        foreach (var type in schema.Returns)
        {
            if (!ReturnTypes.ContainsKey(type))
                throw new FormatException("return type '" + type + "' is not supported");
        }
    }

    public static void Write(StringBuilder text, Schema schema, int index)
    {
        var handle = "s_operator" + index.ToString(CultureInfo.InvariantCulture);
        var n = schema.Arguments.Count;
        var returns = schema.IsInPlace ? new List<string>() : schema.Returns;
        var returnType =
            returns.Count == 0 ? "void"
            : returns.Count == 1 ? ReturnTypes[returns[0]]
            : "(" + string.Join(", ", returns.Select(r => ReturnTypes[r])) + ")";
        var lists = schema
            .Arguments.Where(static a =>
                a.Type.StartsWith("Tensor", StringComparison.Ordinal) && a.Type.EndsWith("[]", StringComparison.Ordinal)
            )
            .ToList();
        text.Append("    private static readonly Interop.OperatorHandle ")
            .Append(handle)
            .Append(" = new(\"")
            .Append(schema.QualifiedName)
            .Append("\", \"")
            .Append(schema.Overload)
            .Append("\");\n\n");
        text.Append("    /// <summary>ATen: <c>")
            .Append(schema.Text.Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;"))
            .Append("</c></summary>\n");
        text.Append("    public static ")
            .Append(returnType)
            .Append(' ')
            .Append(PascalName(schema))
            .Append('(')
            .Append(Parameters(schema))
            .Append(")\n    {\n");
        text.Append("        var a = stackalloc Interop.Value[").Append(Math.Max(n, 1)).Append("];\n");
        text.Append("        var r = stackalloc Interop.Value[").Append(Math.Max(schema.Returns.Count, 1)).Append("];\n");
        foreach (var list in lists)
        {
            var name = Name(list);
            text.Append("        global::System.Span<nint> ")
                .Append(name)
                .Append("_h = ")
                .Append(name)
                .Append(".Length <= 64 ? stackalloc nint[64] : new nint[")
                .Append(name)
                .Append(".Length];\n");
        }

        for (var k = 0; k < n; k++)
        {
            var argument = schema.Arguments[k];
            var name = Name(argument);
            if (argument.Type is "int[]" or "int[]?")
                text.Append("        fixed (long* p").Append(k).Append(" = ").Append(name).Append(")\n");
            else if (argument.Type is "float[]" or "float[]?")
                text.Append("        fixed (double* p").Append(k).Append(" = ").Append(name).Append(")\n");
            else if (lists.Contains(argument))
                text.Append("        fixed (nint* p").Append(k).Append(" = ").Append(name).Append("_h)\n");
            else if (argument.Type == "bool[]")
                text.Append("        fixed (long* p").Append(k).Append(" = Interop.Value.Widen(").Append(name).Append("))\n");
            else if (argument.Type is "str" or "str?")
                text.Append("        fixed (byte* p")
                    .Append(k)
                    .Append(" = Interop.Value.Utf8(")
                    .Append(name)
                    .Append(", out var n")
                    .Append(k)
                    .Append("))\n");
        }

        text.Append("        {\n");
        for (var k = 0; k < n; k++)
            text.Append("            a[").Append(k).Append("] = ").Append(Value(schema.Arguments[k], k)).Append(";\n");
        text.Append("            ")
            .Append(handle)
            .Append(".Invoke(a, ")
            .Append(n)
            .Append(", r, ")
            .Append(schema.Returns.Count)
            .Append(");\n");
        text.Append("        }\n\n");
        if (schema.IsInPlace)
        {
            for (var k = 0; k < schema.Returns.Count; k++)
                text.Append("        r[").Append(k).Append("].Discard();\n");
        }
        else if (returns.Count == 1)
        {
            text.Append("        return ").Append(Result(returns[0], 0)).Append(";\n");
        }
        else if (returns.Count > 1)
        {
            text.Append("        return (").Append(string.Join(", ", returns.Select(Result))).Append(");\n");
        }

        text.Append("    }\n\n");
    }

    private static string Result(string type, int k)
    {
        var slot = "r[" + k.ToString(CultureInfo.InvariantCulture) + "]";
        return type switch
        {
            "Tensor" => slot + ".TakeTensor()",
            "Tensor[]" => slot + ".TakeTensors()",
            "int" or "SymInt" => slot + ".AsLong()",
            "ScalarType" => "(DType)" + slot + ".AsLong()",
            "bool" => slot + ".AsBool()",
            _ => slot + ".AsDouble()",
        };
    }

    private static string Value(SchemaArgument argument, int k)
    {
        var name = Name(argument);
        var pointer = "p" + k.ToString(CultureInfo.InvariantCulture);
        var hasDefault = argument.Default is not null && argument.Default != "None" ? "true" : "false";
        return argument.Type switch
        {
            "Tensor" => "Interop.Value.Of(" + name + ")",
            "Tensor?" => "Interop.Value.OfOptional(" + name + ")",
            "Tensor[]" => "Interop.Value.List(" + name + ", " + name + "_h, " + pointer + ")",
            "Tensor?[]" => "Interop.Value.OptionalList(" + name + ", " + name + "_h, " + pointer + ")",
            "int[]" => "Interop.Value.Of(" + pointer + ", " + name + ".Length, " + hasDefault + ")",
            "int[]?" => name + ".IsEmpty ? Interop.Value.Default : Interop.Value.Of(" + pointer + ", " + name + ".Length, false)",
            "float[]" => "Interop.Value.Of(" + pointer + ", " + name + ".Length, " + hasDefault + ")",
            "float[]?" => name + ".IsEmpty ? Interop.Value.Default : Interop.Value.Of(" + pointer + ", " + name + ".Length, false)",
            "bool[]" => "Interop.Value.OfBools(" + pointer + ", " + name + ".Length)",
            "str" or "str?" => "Interop.Value.OfText(" + name + ", " + pointer + ", n" + k.ToString(CultureInfo.InvariantCulture) + ")",
            _ => "Interop.Value.Of(" + name + ")",
        };
    }

    private static string Parameters(Schema schema)
    {
        var parts = new List<string>();
        var optionalFrom = schema.Arguments.Count;
        while (optionalFrom > 0 && schema.Arguments[optionalFrom - 1].Default is not null)
            optionalFrom--;
        for (var k = 0; k < schema.Arguments.Count; k++)
        {
            var argument = schema.Arguments[k];
            var text = ArgumentTypes[argument.Type] + " " + Name(argument);
            if (k == 0 && argument.Type == "Tensor")
                text = "this " + text;
            if (k >= optionalFrom)
                text += " = " + DefaultText(argument);
            parts.Add(text);
        }

        return string.Join(", ", parts);
    }

    private static string DefaultText(SchemaArgument argument)
    {
        var value = argument.Default!;
        if (value == "None")
            return argument.Type.Contains("[]") ? "default" : "null";
        return argument.Type switch
        {
            "bool" or "bool?" => value.ToLowerInvariant(),
            "int" or "int?" => value == "Mean" ? "1" : value,
            "float" or "float?" => value.EndsWith(".", StringComparison.Ordinal) ? value + "0" : value,
            "str" or "str?" => "\"" + value.Trim('"', '\'') + "\"",
            "ScalarType" or "ScalarType?" => "(DType)" + value,
            // C# cannot express a default of a struct type here; the wrapper's default value selects the schema's default.
            _ => "default",
        };
    }

    private static string Name(SchemaArgument argument)
    {
        var parts = argument.Name.Split(Underscore, StringSplitOptions.RemoveEmptyEntries);
        var camel = parts[0] + string.Concat(parts.Skip(1).Select(Capital));
        return Keywords.Contains(camel) ? "@" + camel : camel;
    }

    private static string PascalName(Schema schema)
    {
        var name = schema.QualifiedName.Substring(schema.QualifiedName.IndexOf("::", StringComparison.Ordinal) + 2);
        var pascal = string.Concat(name.Split(Underscore, StringSplitOptions.RemoveEmptyEntries).Select(Capital));
        return schema.IsInPlace ? pascal + "InPlace" : pascal;
    }

    private static string Capital(string word) => word.Length == 0 ? word : char.ToUpperInvariant(word[0]) + word.Substring(1);
}
