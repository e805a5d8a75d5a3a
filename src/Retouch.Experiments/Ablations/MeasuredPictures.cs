using System.Text.Json;
using System.Text.Json.Serialization;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Measuring;

namespace Retouch.Experiments.Ablations;

/// <summary>A figure with the bootstrap's replicates, from which differences to other arms can be computed later.</summary>
/// <param name="Name">As in tables.</param>
/// <param name="Value">The figure.</param>
/// <param name="Better">Which way is better.</param>
/// <param name="Replicates">One a resample of the pictures; the same pictures in all arms.</param>
public sealed record MeasuredFigure(string Name, double Value, Preference Better, IReadOnlyList<double> Replicates)
{
    /// <summary>Whether a warning voids what follows from the replicates.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool IsVoid { get; init; }
}

/// <summary>What was measured on the pictures of one model.</summary>
/// <param name="Count">Pictures.</param>
/// <param name="References">Real pictures that they were measured against.</param>
/// <param name="Figures">The figures.</param>
/// <param name="Profile">The radial spectrum, where it was asked for.</param>
/// <param name="ReferenceProfile">That of the real pictures.</param>
/// <param name="Warnings">What limits the figures.</param>
public sealed record MeasuredPictures(
    int Count,
    int References,
    IReadOnlyList<MeasuredFigure> Figures,
    IReadOnlyList<double>? Profile,
    IReadOnlyList<double>? ReferenceProfile,
    IReadOnlyList<string> Warnings
)
{
    /// <summary>From an evaluation's set.</summary>
    public static MeasuredPictures Of(SetResult set, EvaluationResult result) =>
        new(
            set.Count,
            result.Reference.Count,
            [
                .. set.Figures.Select(
                    (figure, k) =>
                        new MeasuredFigure(figure.Name, figure.Value, figure.Better, set.Replicates[k]) { IsVoid = figure.IsVoid }
                ),
            ],
            set.Profile,
            result.Reference.Profile,
            result.Warnings
        )
        {
            Protocol = [.. ProtocolText.Of(result).Where(static said => said.Key != ProtocolText.Pictures)],
        };

    /// <summary>What decides the figures, as an evaluation says it; null in files that say nothing of it.</summary>
    public IReadOnlyList<KeyValuePair<string, string>>? Protocol { get; init; }

    /// <summary>Reads a file; null where there is none.</summary>
    /// <exception cref="InputException">It is broken.</exception>
    public static MeasuredPictures? Read(string path) =>
        File.Exists(path)
            ? JsonFile.Read<MeasuredPictures>(path, JsonStyles.StateLine, "Delete it; what it holds will be measured again.")
            : null;

    /// <summary>Writes the file.</summary>
    public void Save(string path) => AtomicFile.Write(path, stream => JsonSerializer.Serialize(stream, this, JsonStyles.StateLine));

    /// <summary>A figure; null where pictures so small have none.</summary>
    public MeasuredFigure? Find(string name) => Figures.FirstOrDefault(f => f.Name == name);
}
