using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Retouch.Tests.Extensions;

/// <summary>Programs of a page of the documentation: its blocks of C#, compiled with the default usings of the SDK.</summary>
internal static partial class PagePrograms
{
    private const string ImplicitUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        """;

    private static readonly Lazy<MetadataReference[]> References = new(static () =>
        [
            .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!)
                .Split(Path.PathSeparator)
                .Select(static path => MetadataReference.CreateFromFile(path)),
        ]
    );

    /// <summary>Blocks of C# by the heading above them. A section has at most one.</summary>
    public static Dictionary<string, string> Of(string page)
    {
        Dictionary<string, string> programs = [];
        foreach (var section in Headings().Split(page).Skip(1))
        {
            var heading = section[..section.IndexOf('\n', StringComparison.Ordinal)].Trim();
            foreach (Match block in Blocks().Matches(section))
                programs.Add(heading, block.Groups["code"].Value);
        }

        return programs;
    }

    /// <summary>Compiles a program to an assembly with an entry point.</summary>
    /// <exception cref="InvalidOperationException">It does not compile without errors and warnings; the message lists them.</exception>
    public static Assembly Compile(string name, string code)
    {
        var parsing = CSharpParseOptions.Default.WithLanguageVersion(LanguageVersion.Latest);
        var compilation = CSharpCompilation.Create(
            name,
            [CSharpSyntaxTree.ParseText(ImplicitUsings, parsing), CSharpSyntaxTree.ParseText(code, parsing)],
            References.Value,
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable)
        );
        using var image = new MemoryStream();
        compilation.Emit(image);
        var problems = compilation.GetDiagnostics().Where(static d => d.Severity >= DiagnosticSeverity.Warning).ToList();
        return problems.Count > 0
            ? throw new InvalidOperationException($"{name}:\n{string.Join('\n', problems)}")
            : Assembly.Load(image.ToArray());
    }

    /// <summary>Compiles and runs a program in this process.</summary>
    /// <returns>Its standard output, line by line.</returns>
    public static string[] Run(string name, string code, params string[] arguments)
    {
        var entry = Compile(name, code).EntryPoint!;
        var (before, errors) = (Console.Out, Console.Error);
        using var output = new StringWriter();
        try
        {
            Console.SetOut(output);
            Console.SetError(TextWriter.Null);
            entry.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [arguments], null);
        }
        finally
        {
            Console.SetOut(before);
            Console.SetError(errors);
        }

        return output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    [GeneratedRegex("^## ", RegexOptions.Multiline)]
    private static partial Regex Headings();

    [GeneratedRegex("^```csharp\n(?<code>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex Blocks();
}
