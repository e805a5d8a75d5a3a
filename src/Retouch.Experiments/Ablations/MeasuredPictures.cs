using System.Text.Json;
using System.Text.Json.Serialization;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Measuring;

namespace Retouch.Experiments.Ablations;

/// <summary>Figure with its bootstrap replicates, for later comparison with other arms.</summary>
/// <param name="Name">Name in tables.</param>
/// <param name="Value">Value.</param>
/// <param name="Better">Direction.</param>
/// <param name="Replicates">Value of each resample; resamples are equal in all arms.</param>
public sealed record MeasuredFigure(string Name, double Value, Preference Better, IReadOnlyList<double> Replicates)
{
    /// <summary>Whether a limitation voids the interval.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool IsVoid { get; init; }
}

/// <summary>Measurements of the pictures of one model.</summary>
/// <param name="Count">Number of pictures.</param>
/// <param name="References">Number of reference pictures.</param>
/// <param name="Figures">Figures.</param>
/// <param name="Profile">Radial power spectrum, if measured.</param>
/// <param name="ReferenceProfile">Radial power spectrum of the reference.</param>
/// <param name="Warnings">Limitations of the figures.</param>
public sealed record MeasuredPictures(
    int Count,
    int References,
    IReadOnlyList<MeasuredFigure> Figures,
    IReadOnlyList<double>? Profile,
    IReadOnlyList<double>? ReferenceProfile,
    IReadOnlyList<string> Warnings
)
{
    /// <summary>Measurements from an evaluated set.</summary>
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

    /// <summary>Protocol of the evaluation; null in older files.</summary>
    public IReadOnlyList<KeyValuePair<string, string>>? Protocol { get; init; }

    /// <summary>Reads a file; null if it does not exist.</summary>
    /// <exception cref="InputException">The file is damaged.</exception>
    public static MeasuredPictures? Read(string path) =>
        File.Exists(path) ? JsonFile.Read<MeasuredPictures>(path, JsonStyles.StateLine, "Delete it to repeat the measurement.") : null;

    /// <summary>Writes the file.</summary>
    public void Save(string path) => AtomicFile.Write(path, stream => JsonSerializer.Serialize(stream, this, JsonStyles.StateLine));

    /// <summary>A figure, or null if undefined for pictures of this size.</summary>
    public MeasuredFigure? Find(string name) => Figures.FirstOrDefault(f => f.Name == name);
}
