using System.CommandLine;
using Retouch.Core.Errors;
using Retouch.Evaluation.Reports;
using Retouch.Experiments.Studies;

namespace Retouch.Cli.Commands;

/// <summary>Options of <c>study</c> and of <c>inspect --taps</c>: pictures, noise levels and report.</summary>
/// <param name="prefix">Prefix of all descriptions; empty for <c>study</c>.</param>
internal sealed class StudyOptions(string prefix)
{
    private readonly Option<string?> _data = new("--data") { Description = $"{prefix}A folder of pictures; default: procedural scenes." };
    private readonly Option<int> _size = new("--size")
    {
        Description = $"{prefix}Side of the pictures in pixels.",
        DefaultValueFactory = static _ => 64,
    };
    private readonly Option<int> _count = new Option<int>("--count")
    {
        Description = $"{prefix}Number of pictures.",
        DefaultValueFactory = static _ => 16,
    }.Within(new() { AtLeast = 1, AtMost = 4096 });
    private readonly Option<ulong> _seed = new("--seed")
    {
        Description = $"{prefix}Seed of the noise and of the selection of pictures.",
        DefaultValueFactory = static _ => 1,
    };

    /// <summary>Folder of the report.</summary>
    public Option<string?> OutputPath { get; } =
        new("--output") { Description = $"{prefix}Folder for the report.", Required = prefix.Length == 0 };

    /// <summary>Noise levels.</summary>
    public Option<int> Levels { get; } =
        new Option<int>("--levels")
        {
            Description = $"{(prefix.Length == 0 ? "For taps: n" : prefix + "N")}oise levels.",
            DefaultValueFactory = static _ => 16,
        }.Within(new() { AtLeast = 2, AtMost = 1000 });

    /// <summary>All options.</summary>
    public IReadOnlyList<Option> All => [_data, OutputPath, _size, _count, Levels, _seed, SharedOptions.Device];

    /// <summary>Seed of noise and selection.</summary>
    public ulong Seed(ParseResult parsed) => parsed.GetValue(_seed);

    /// <summary>Folder of the report.</summary>
    /// <exception cref="UsageException">The option is missing, or a folder of other files.</exception>
    public string Folder(ParseResult parsed)
    {
        var folder = parsed.GetValue(OutputPath) ?? throw new UsageException("--output is missing: the folder for the report.");
        ReportWriter.Check(folder);
        return folder;
    }

    /// <summary>Reads model and pictures.</summary>
    /// <exception cref="UsageException">A number is out of range.</exception>
    public StudyMaterial Open(ParseResult parsed, string? model, bool needsDenoiser)
    {
        return StudyMaterial.Open(
            model,
            parsed.GetValue(_data),
            parsed.GetValue(_size),
            parsed.GetValue(_count),
            parsed.GetValue(_seed),
            parsed.GetDevice(),
            needsDenoiser
        );
    }
}
