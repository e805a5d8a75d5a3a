namespace Retouch.Torch.Generators;

/// <summary>A parsed ATen operator schema: <c>ns::name.overload(Type name=default, *, …) -> Type</c>.</summary>
internal sealed class Schema
{
    public string Text { get; private set; } = "";

    public string QualifiedName { get; private set; } = "";

    public string Overload { get; private set; } = "";

    public List<SchemaArgument> Arguments { get; } = new();

    public List<string> Returns { get; } = new();

    /// <summary>Whether the operator is in-place: its name ends with an underscore, and it returns its first argument.</summary>
    public bool IsInPlace => QualifiedName.EndsWith("_", StringComparison.Ordinal);

    public static Schema Parse(string text)
    {
        var schema = new Schema { Text = text };
        var open = text.IndexOf('(');
        var arrow = text.LastIndexOf("->", StringComparison.Ordinal);
        if (open <= 0 || arrow < open)
            throw new FormatException("expected 'ns::name(arguments) -> results'");
        var close = text.LastIndexOf(')', arrow);
        if (close < open)
            throw new FormatException("the argument list is not closed before '->'");
        var name = text.Substring(0, open).Trim();
        var dot = name.IndexOf('.');
        schema.QualifiedName = dot < 0 ? name : name.Substring(0, dot);
        schema.Overload = dot < 0 ? "" : name.Substring(dot + 1);
        if (schema.QualifiedName.IndexOf("::", StringComparison.Ordinal) <= 0)
            throw new FormatException("the operator's name needs a namespace, as in aten::add");
        foreach (var part in SplitTop(text.Substring(open + 1, close - open - 1)))
        {
            if (part != "*")
                schema.Arguments.Add(SchemaArgument.Parse(part));
        }

        var results = text.Substring(arrow + 2).Trim();
        if (results.StartsWith("(", StringComparison.Ordinal) && results.EndsWith(")", StringComparison.Ordinal))
            results = results.Substring(1, results.Length - 2);
        foreach (var part in SplitTop(results))
            schema.Returns.Add(StripAlias(part).Split(' ')[0]);
        return schema;
    }

    /// <summary>Removes alias annotations: <c>Tensor(a!)[]</c> becomes <c>Tensor[]</c>.</summary>
    public static string StripAlias(string type)
    {
        var open = type.IndexOf('(');
        while (open >= 0)
        {
            var close = type.IndexOf(')', open);
            if (close < 0)
                throw new FormatException("an alias annotation is not closed in '" + type + "'");
            type = type.Remove(open, close - open + 1);
            open = type.IndexOf('(');
        }

        return type;
    }

    private static IEnumerable<string> SplitTop(string text)
    {
        var depth = 0;
        var start = 0;
        for (var k = 0; k <= text.Length; k++)
        {
            if (k < text.Length && (text[k] == '(' || text[k] == '['))
                depth++;
            else if (k < text.Length && (text[k] == ')' || text[k] == ']'))
                depth--;
            else if (k == text.Length || (text[k] == ',' && depth == 0))
            {
                var part = text.Substring(start, k - start).Trim();
                start = k + 1;
                if (part.Length > 0)
                    yield return part;
            }
        }
    }
}

/// <summary>An argument of a schema.</summary>
internal sealed class SchemaArgument
{
    public SchemaArgument(string type, string name, string? defaultValue)
    {
        Type = type;
        Name = name;
        Default = defaultValue;
    }

    /// <summary>Type without alias annotation and list length: <c>int[2]</c> is <c>int[]</c>, <c>SymInt</c> is <c>int</c>.</summary>
    public string Type { get; }

    public string Name { get; }

    public string? Default { get; }

    public static SchemaArgument Parse(string text)
    {
        string? value = null;
        var equals = text.IndexOf('=');
        if (equals >= 0)
        {
            value = text.Substring(equals + 1).Trim();
            text = text.Substring(0, equals).Trim();
        }

        var space = text.LastIndexOf(' ');
        if (space < 0)
            throw new FormatException("argument '" + text + "' has no name");
        var type = Schema.StripAlias(text.Substring(0, space).Trim()).Replace("SymInt", "int");
        var bracket = type.IndexOf('[');
        if (bracket >= 0)
        {
            var close = type.IndexOf(']', bracket);
            type = type.Substring(0, bracket + 1) + type.Substring(close);
        }

        return new SchemaArgument(type, text.Substring(space + 1), value);
    }
}
