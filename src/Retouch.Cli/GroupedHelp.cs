using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Retouch.Cli;

/// <summary>Help of the root command, with the verbs in groups; verbs keep the library's help.</summary>
internal sealed class GroupedHelp : SynchronousCommandLineAction
{
    private readonly (string Purpose, Command[] Verbs)[] _groups;
    private readonly SynchronousCommandLineAction _other;

    private GroupedHelp((string Purpose, Command[] Verbs)[] groups, SynchronousCommandLineAction other) =>
        (_groups, _other) = (groups, other);

    /// <inheritdoc/>
    public override bool ClearsParseErrors => true;

    /// <summary>Replaces the root's help.</summary>
    /// <param name="root">Root command.</param>
    /// <param name="groups">Verbs by purpose, in order.</param>
    public static void AddTo(RootCommand root, (string Purpose, Command[] Verbs)[] groups)
    {
        var help = root.Options.OfType<HelpOption>().Single();
        help.Action = new GroupedHelp(groups, (SynchronousCommandLineAction)help.Action!);
    }

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        if (parseResult.CommandResult.Command is not RootCommand root)
            return _other.Invoke(parseResult);
        var writer = parseResult.InvocationConfiguration.Output;
        writer.WriteLine($"Description:\n  {root.Description}\n\nUsage:\n  retouch VERB [options]      'retouch VERB --help' lists them");
        var width = _groups.SelectMany(static g => g.Verbs).Max(static v => v.Name.Length);
        foreach (var (purpose, verbs) in _groups)
        {
            writer.WriteLine($"\n{purpose}:");
            foreach (var verb in verbs)
                writer.WriteLine($"  {verb.Name.PadRight(width)}  {verb.Description}");
        }

        writer.WriteLine("\nOptions of all verbs:");
        var options = root.Options.Where(static o => !o.Hidden).ToList();
        var longest = options.Max(static o => o.Name.Length);
        foreach (var option in options)
            writer.WriteLine($"  {option.Name.PadRight(longest)}  {option.Description}");
        return 0;
    }
}
