using System.Text.RegularExpressions;

namespace Retouch.Tests.Architecture;

/// <summary>Violation of a rule: file (from the repository's root), line and description.</summary>
internal sealed record Violation(string Path, int Line, string Message)
{
    public override string ToString() => $"{Path}:{Line}: {Message}";
}

/// <summary>
/// Rules not enforced by a compiler. Assemblies are separated by permitted references; the folders of an assembly are its rooms.
/// </summary>
internal static partial class HouseRules
{
    /// <summary>
    /// The rooms of each assembly with ordered rooms, in order: a room may use earlier rooms only. The only such list.
    /// </summary>
    public static readonly Dictionary<string, string[]> Rooms = new()
    {
        ["Retouch.Core"] = ["Errors", "Formatting", "Io", "Json"],
        ["Retouch"] =
        [
            "Images",
            "Data",
            "Autoencoders",
            "Conditioning",
            "Diffusion",
            "Denoisers",
            "Samplers",
            "Perception",
            "Objectives",
            "Pipelines",
            "Training",
        ],
        ["Retouch.Evaluation"] =
        [
            "Pictures",
            "Statistics",
            "Pixels",
            "Features",
            "Frequency",
            "Patches",
            "Metrics",
            "Measuring",
            "Judging",
            "Studies",
            "Reports",
        ],
        ["Retouch.Experiments"] =
        [
            "Machine",
            "Sampling",
            "Probing",
            "Inspection",
            "Measuring",
            "Watching",
            "Phases",
            "Demo",
            "Studies",
            "Ablations",
        ],
    };

    /// <summary>Assemblies with their permitted references.</summary>
    public static readonly Dictionary<string, string[]> Assemblies = new()
    {
        ["Retouch.Core"] = [],
        ["Retouch.Torch.Generator"] = [],
        ["Retouch.Torch"] = ["Retouch.Core", "Retouch.Torch.Generator"],
        ["Retouch"] = ["Retouch.Core", "Retouch.Torch"],
        ["Retouch.Evaluation"] = ["Retouch.Core", "Retouch.Torch", "Retouch"],
        ["Retouch.Web"] = ["Retouch.Core"],
        ["Retouch.Arena"] = ["Retouch.Core", "Retouch.Torch", "Retouch", "Retouch.Web"],
        ["Retouch.Experiments"] = ["Retouch.Core", "Retouch.Torch", "Retouch", "Retouch.Evaluation"],
        ["Retouch.Watch"] = ["Retouch.Core", "Retouch.Torch", "Retouch", "Retouch.Evaluation", "Retouch.Experiments", "Retouch.Web"],
        ["Retouch.Cli"] =
        [
            "Retouch.Core",
            "Retouch.Torch",
            "Retouch",
            "Retouch.Evaluation",
            "Retouch.Experiments",
            "Retouch.Web",
            "Retouch.Arena",
            "Retouch.Watch",
        ],
    };

    /// <summary>Parts of referenced assemblies that an assembly must not use, with the reason.</summary>
    private static readonly (string Assembly, string[] Unseen, string Why)[] Screens =
    [
        ("Retouch.Arena", ["Training"], "the arena never sees training"),
        ("Retouch.Evaluation", ["Training"], "what is measured does not depend on how it was trained"),
    ];

    public const int LongestFile = 350;

    /// <summary>Maximum length of a line, as in .editorconfig and CSharpier.</summary>
    public const int LongestLine = 140;

    private static readonly (string Pattern, string Message)[] Banned =
    [
        (@"\bGC\s*\.\s*Collect\b", "GC.Collect hides a leak; tensors are disposed by scope"),
        (@"\bDateTime(Offset)?\s*\.\s*(Now|UtcNow|Today)\b", "ambient time; take a TimeProvider as an argument"),
        (@"\bnew\s+(System\s*\.\s*)?Random\s*\(", "ambient randomness; take a seed or a generator as an argument"),
        (@"\bRandom\s*\.\s*Shared\b", "ambient randomness; take a seed or a generator as an argument"),
        (@"\bRandom\s+\w+\s*=\s*new\s*\(", "ambient randomness; take a seed or a generator as an argument"),
        (@"\bNotImplementedException\b", "what is not implemented is not there"),
    ];

    /// <summary>Patterns allowed in one folder only: pattern, folder, message.</summary>
    private static readonly (string Pattern, string Folder, string Message)[] AtHome =
    [
        (
            @"\bnew\s+([\w.]+\.)?Json(Serializer|Writer)Options\b"
                + @"|\bJson(Serializer|Writer)Options\s+\w+\s*(\{[^}]*\}\s*)?=>?\s*new\s*\("
                + @"|\bnew\s*\(\s*\)\s*\{\s*WriteIndented\b|\bJavaScriptEncoder\b|\bJsonStringEnumConverter\b",
            "src/Retouch.Core/Json/",
            "a private JSON setting; use one of JsonStyles"
        ),
    ];

    /// <summary>Checks a C# file below src. <paramref name="path"/> is relative to the repository's root, with forward slashes.</summary>
    public static IEnumerable<Violation> CheckSource(string path, string text)
    {
        var code = CSharpText.CodeOnly(text);
        var parts = path.Split('/');
        var assembly = parts[1];
        if (!Assemblies.ContainsKey(assembly))
            yield return new(path, 1, $"unknown assembly '{assembly}'; add it to {nameof(HouseRules)}.{nameof(Assemblies)}");
        foreach (var violation in CheckNamespace(path, code, string.Join('.', [RootNamespace(assembly), .. parts[2..^1]])))
            yield return violation;
        foreach (var violation in CheckDirection(path, code, assembly, parts))
            yield return violation;
        foreach (var (pattern, message) in Banned)
        {
            foreach (Match match in Regex.Matches(code, pattern, RegexOptions.ExplicitCapture))
                yield return new(path, LineOf(code, match.Index), $"'{match.Value}': {message}");
        }

        foreach (var (pattern, folder, message) in AtHome.Where(rule => !path.StartsWith(rule.Folder, StringComparison.Ordinal)))
        {
            foreach (Match match in Regex.Matches(code, pattern, RegexOptions.ExplicitCapture))
                yield return new(path, LineOf(code, match.Index), $"'{match.Value}': {message}");
        }

        foreach (Match match in Unfinished().Matches(text))
            yield return new(path, LineOf(text, match.Index), $"'{match.Value}': finish it or open an issue");
        var lines = text.AsSpan().TrimEnd('\n').Count('\n') + 1;
        if (lines > LongestFile)
            yield return new(path, lines, $"{lines} lines, at most {LongestFile}: does the file still have one reason to change?");
    }

    /// <summary>Checks common to all code files, in any language.</summary>
    public static IEnumerable<Violation> CheckLines(string path, string text)
    {
        var line = 0;
        foreach (var content in text.Split('\n'))
        {
            line++;
            if (content.Length > LongestLine)
                yield return new(path, line, $"{content.Length} characters, at most {LongestLine}");
        }
    }

    /// <summary>Checks the references of a project file below src.</summary>
    public static IEnumerable<Violation> CheckProject(string path, string text)
    {
        var name = Path.GetFileNameWithoutExtension(path);
        if (!Assemblies.TryGetValue(name, out var allowed))
            yield return new(path, 1, $"unknown assembly '{name}'; add it to {nameof(HouseRules)}.{nameof(Assemblies)}");
        foreach (Match match in ProjectReference().Matches(text))
        {
            var referenced = match.Groups["name"].Value;
            if (allowed?.Contains(referenced) == false)
                yield return new(path, LineOf(text, match.Index), $"{name} must not reference {referenced}");
        }

        foreach (Match match in ProjectUsing().Matches(text))
            yield return new(path, LineOf(text, match.Index), "a project-wide using of a room hides who uses it; write it in the files");
    }

    /// <summary>
    /// The root namespace of an assembly is its name, except for the generator: <c>Retouch.Torch.Generator</c> is a type of the engine.
    /// </summary>
    private static string RootNamespace(string assembly) => assembly == "Retouch.Torch.Generator" ? "Retouch.Torch.Generators" : assembly;

    private static IEnumerable<Violation> CheckNamespace(string path, string code, string expected)
    {
        var declared = NamespaceDeclaration().Matches(code);
        foreach (Match match in declared)
        {
            if (match.Groups["name"].Value != expected)
                yield return new(path, LineOf(code, match.Index), $"namespace {match.Groups["name"].Value} in the folder of {expected}");
        }

        // Top-level statements and assembly attributes have no namespace; types must have one.
        if (declared.Count == 0 && TypeDeclaration().Match(code) is { Success: true } type)
            yield return new(path, LineOf(code, type.Index), $"a type outside a namespace; expected {expected}");
    }

    private static IEnumerable<Violation> CheckDirection(string path, string code, string assembly, string[] parts)
    {
        if (assembly is "Retouch.Core" or "Retouch.Torch" or "Retouch.Torch.Generator")
        {
            var foreign = assembly == "Retouch.Core" ? OutsideCore() : OutsideTorch();
            foreach (Match match in foreign.Matches(code))
                yield return new(path, LineOf(code, match.Index), $"'{match.Value}': {assembly} knows nothing of what is built on it");
        }

        foreach (var (_, unseen, why) in Screens.Where(screen => screen.Assembly == assembly))
        {
            foreach (var violation in Mentions(path, code, "Retouch", unseen, why))
                yield return violation;
        }

        foreach (Match match in GlobalUsing().Matches(code))
            yield return new(path, LineOf(code, match.Index), "a global using of a room hides who uses it; write it in the files");
        if (!Rooms.TryGetValue(assembly, out var rooms))
            yield break;
        var own = parts.Length > 3 ? Array.IndexOf(rooms, parts[2]) : -1;
        if (own < 0)
        {
            yield return new(path, 1, $"lies in no room of {assembly}; the rooms stand in {nameof(HouseRules)}.{nameof(Rooms)}");
            yield break;
        }

        foreach (var violation in Mentions(path, code, assembly, rooms[(own + 1)..], $"downstream of {rooms[own]}"))
            yield return violation;
    }

    /// <summary>
    /// Mentions of rooms: qualified (<c>Retouch.Training</c>, as in a using) or relative to the namespace (<c>Training.Loop</c>).
    /// </summary>
    private static IEnumerable<Violation> Mentions(string path, string code, string assembly, string[] rooms, string why)
    {
        if (rooms.Length == 0)
            yield break;
        var names = string.Join('|', rooms);
        var pattern = $@"\b{assembly.Replace(".", @"\s*\.\s*")}\s*\.\s*({names})\b|(?<![\w.])({names})\s*\.\s*[A-Z]\w*";
        foreach (Match match in Regex.Matches(code, pattern))
            yield return new(path, LineOf(code, match.Index), $"'{match.Value}': {why} (a member of that name: write this.{match.Value})");
    }

    private static int LineOf(string text, int index) => text.AsSpan(0, index).Count('\n') + 1;

    [GeneratedRegex(@"^[ \t]*namespace\s+(?<name>[\w.]+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex NamespaceDeclaration();

    [GeneratedRegex(
        @"^[ \t]*((public|internal|static|sealed|abstract|partial|readonly|ref|file|unsafe)\s+)*"
            + @"(class|record|struct|interface|enum|delegate)\s+\w+",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture
    )]
    private static partial Regex TypeDeclaration();

    [GeneratedRegex(@"\bRetouch\s*\.\s*(?!(Torch|Core)\b)[A-Z]\w*", RegexOptions.ExplicitCapture)]
    private static partial Regex OutsideTorch();

    [GeneratedRegex(@"\bRetouch\s*\.\s*(?!Core\b)[A-Z]\w*")]
    private static partial Regex OutsideCore();

    [GeneratedRegex(@"\bglobal\s+using\s+(static\s+)?(\w+\s*=\s*)?(global::)?Retouch\b", RegexOptions.ExplicitCapture)]
    private static partial Regex GlobalUsing();

    [GeneratedRegex(@"\b(TODO|FIXME)\b", RegexOptions.ExplicitCapture)]
    private static partial Regex Unfinished();

    [GeneratedRegex("""<ProjectReference\s+Include="[^"]*?(?<name>[^"\\/]+)\.csproj""" + "\"", RegexOptions.ExplicitCapture)]
    private static partial Regex ProjectReference();

    [GeneratedRegex("""<Using\s+Include="Retouch""", RegexOptions.ExplicitCapture)]
    private static partial Regex ProjectUsing();
}
