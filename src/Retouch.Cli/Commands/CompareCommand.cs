using System.CommandLine;
using Retouch.Torch.Errors;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch compare</c>: several folders of pictures against real ones and against the first of them.</summary>
internal static class CompareCommand
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var folders = new Argument<string[]>("folders")
        {
            Description = "Folders of pictures; the first is the baseline. Pictures of the same names count as pairs.",
            Arity = ArgumentArity.OneOrMore,
        };
        var measuring = new MeasuringOptions();
        var command = new Command("compare", "Measure folders of pictures against real ones, and against the first folder.") { folders };
        measuring.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var given = parsed.GetValue(folders)!;
            if (given.Length < 2)
                throw new UsageException("A comparison takes two folders or more; for a single one there is 'retouch evaluate'.");
            EvaluateCommand.RunFolders(parsed, measuring, given, cancellation);
            return Task.CompletedTask;
        });
        return command;
    }
}
