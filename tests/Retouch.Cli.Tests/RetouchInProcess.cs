using System.CommandLine;

namespace Retouch.Cli.Tests;

/// <summary>
/// The command line within the test's process, with the same verbs, messages and exit codes: for tests whose subject is not the process
/// itself.
/// </summary>
internal static class RetouchInProcess
{
    private static readonly Lazy<RootCommand> Root = new(CommandLine.Create);

    /// <summary>Runs <c>retouch</c> with the arguments.</summary>
    public static RetouchProcess.Outcome Run(params string[] arguments)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var code = CommandLine.RunAsync(Root.Value, arguments, output, error).GetAwaiter().GetResult();
        return new(code, output.ToString(), error.ToString());
    }
}
