using System.CommandLine;
using Retouch.Cli.Terminal;
using Retouch.Evaluation;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch evaluate</c>: one folder of pictures against real ones.</summary>
internal static class EvaluateCommand
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var images = new Option<string>("--images") { Description = "Folder of the pictures to measure.", Required = true };
        var measuring = new MeasuringOptions();
        var command = new Command("evaluate", "Measure a folder of pictures against real ones.") { images };
        measuring.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            Run(parsed, measuring, [parsed.GetValue(images)!], cancellation);
            return Task.CompletedTask;
        });
        return command;
    }

    /// <summary>Measures folders and writes what was found; the first is the baseline.</summary>
    internal static void Run(ParseResult parsed, MeasuringOptions measuring, IReadOnlyList<string> folders, CancellationToken cancellation)
    {
        var options = measuring.Evaluation(parsed);
        var preparation = measuring.Preparation(parsed);
        var reference = ImageSet.Open(measuring.Reference(parsed), preparation);
        var sets = folders.Select(folder => ImageSet.Open(folder, preparation)).ToList();
        var error = parsed.InvocationConfiguration.Error;
        EvaluationResult result;
        using (var progress = new EvaluationProgressLine(error, TerminalFacts.OfStandardError().IsTerminal, TimeProvider.System))
            result = Evaluator.Evaluate(reference, sets, options, progress.Report, cancellation);
        foreach (var warning in result.Warnings)
            error.WriteLine("warning: " + warning);
        Output.For(parsed).Write(result, writer => EvaluationText.Write(result, writer, TerminalFacts.OfStandardOutput()));
    }
}
