using System.CommandLine;
using Retouch.Cli.Diagnosis;
using Retouch.Core.Errors;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Reports;
using Retouch.Experiments.Machine;
using Retouch.Experiments.Measuring;

namespace Retouch.Cli.Commands;

/// <summary>Shared report options of <c>evaluate</c> and <c>compare</c>.</summary>
internal sealed class ReportOptions
{
    /// <summary>Description of <c>--tensorboard</c>, here and in other verbs.</summary>
    public const string TensorBoardDescription = "Also write the figures for TensorBoard, into the folder tensorboard of --output.";

    private readonly Option<string?> _output = new("--output")
    {
        Description =
            "Folder for a report: one page with figures, spectra, pictures and the protocol, and the same numbers as JSON and CSV.",
    };
    private readonly Option<bool> _tensorBoard = new("--tensorboard") { Description = TensorBoardDescription };

    public void AddTo(Command command)
    {
        command.Add(_output);
        command.Add(_tensorBoard);
    }

    /// <summary>Rejects options without effect.</summary>
    /// <exception cref="UsageException"><c>--output</c> is missing, or a folder of other files.</exception>
    public void Check(ParseResult parsed)
    {
        if (parsed.GetValue(_output) is { } folder)
            ReportWriter.Check(folder);
        if (parsed.GetValue(_tensorBoard) && parsed.GetValue(_output) is null)
            throw new UsageException("--tensorboard writes into the folder of --output; add --output.");
    }

    /// <summary>Writes the requested files.</summary>
    /// <param name="parsed">Command line.</param>
    /// <param name="result">Result of the evaluation.</param>
    /// <param name="reference">Reference pictures, or null.</param>
    /// <param name="sets">Sets.</param>
    /// <param name="load">Load average before the evaluation.</param>
    /// <returns>Names and paths of the files.</returns>
    public IReadOnlyList<(string Name, string Path)> Write(
        ParseResult parsed,
        EvaluationResult result,
        ImageSet? reference,
        IReadOnlyList<ImageSet> sets,
        string load
    )
    {
        if (parsed.GetValue(_output) is not { } folder)
            return [];
        var files = ReportWriter.Write(
            EvaluationReport.Build(result, reference, sets, ReportOrigin.Of(CommandText.Of(parsed), load)),
            folder
        );
        List<(string, string)> written = [("report", files.Html)];
        if (parsed.GetValue(_tensorBoard))
            written.Add(("tensorboard", FigureEvents.Write(EvaluationReport.Runs(result), folder, TimeProvider.System)));
        return written;
    }
}
