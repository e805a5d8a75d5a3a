using System.Globalization;
using System.Text.RegularExpressions;
using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Optim;
using Retouch.Torch.Safetensors;
using Retouch.Training.Options;

namespace Retouch.Training.State;

/// <summary>
/// The tensors of a checkpoint: weights, and states of the optimiser and of the averages. Divided states are in one file per process,
/// <c>optimiser-00001-of-00004.safetensors</c>; since every key names its parameter, any number of processes reads them.
/// </summary>
/// <param name="network">The trained network.</param>
/// <param name="optimiser">Its optimiser.</param>
/// <param name="averages">Its averages.</param>
/// <param name="options">Options of the run.</param>
internal sealed partial class CheckpointTensors(
    ParameterStore network,
    Optimiser optimiser,
    IReadOnlyList<WeightAverage> averages,
    TrainingOptions options
)
{
    private const string Extension = ".safetensors";
    private const string Optimiser = "optimiser";

    /// <summary>Writes the files of this process.</summary>
    /// <param name="folder">Folder of the checkpoint.</param>
    /// <param name="shard">Number of the process and of all, if the states are divided among them; null if they are not.</param>
    /// <returns>Hashes of the files, by name.</returns>
    public Dictionary<string, string> Write(string folder, (int Rank, int Size)? shard)
    {
        var written = new Dictionary<string, string>(StringComparer.Ordinal);
        void Add(string name, IEnumerable<KeyValuePair<string, Tensor>> tensors)
        {
            var path = Path.Combine(folder, name);
            SafetensorsWriter.Write(path, tensors);
            written.Add(name, CheckpointStore.Hash(path));
        }

        if (shard is not { Rank: > 0 })
            Add("weights" + Extension, network.Tensors());
        Add(NameOf(Optimiser, shard), optimiser.State());
        foreach (var average in averages)
            Add(NameOf(StemOf(average), shard), average.Tensors());
        return written;
    }

    /// <summary>Reads weights, and the states of the parameters that this process updates.</summary>
    /// <param name="state">State of the checkpoint.</param>
    /// <param name="folder">Its folder.</param>
    /// <param name="steps">Updates at the checkpoint.</param>
    /// <param name="run">Folder of the run.</param>
    /// <exception cref="InputException">A file is missing, or the state is that of another optimiser, or of other settings.</exception>
    public void Read(TrainingState state, string folder, long steps, string run)
    {
        using (var weights = SafetensorsFile.Open(Path.Combine(folder, "weights" + Extension)))
            network.Load(weights, network.All[0].Value.Device, DType.Float32, weights.FilePath);
        network.RequireGrad(true);
        using (var states = Open(state, folder, Optimiser))
            OptimiserState.Restore(optimiser, options.Optimiser.Kind, states, steps, run);
        foreach (var average in averages)
        {
            using var shadows = Open(state, folder, StemOf(average));
            average.LoadState(shadows, steps);
        }
    }

    private static string StemOf(WeightAverage average) => string.Create(CultureInfo.InvariantCulture, $"average-{average.Options.Decay}");

    private static string NameOf(string stem, (int Rank, int Size)? shard) =>
        shard is var (rank, size) ? WeightShards.NameOf(stem, rank, size) : stem + Extension;

    private static JoinedTensors Open(TrainingState state, string folder, string stem)
    {
        string[] shards =
        [
            .. state
                .Files.Keys.Where(f => f.StartsWith(stem, StringComparison.Ordinal) && Shard().IsMatch(f[stem.Length..]))
                .Order(StringComparer.Ordinal),
        ];
        return JoinedTensors.Open([.. (shards is [] ? [stem + Extension] : shards).Select(f => Path.Combine(folder, f))]);
    }

    [GeneratedRegex(@"^-\d{5}-of-\d{5}\.safetensors$")]
    private static partial Regex Shard();
}
