using System.Globalization;
using System.Text.RegularExpressions;
using Retouch.Core.Errors;
using Retouch.Objectives.Autoencoder;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Devices;
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
    private const string Discriminator = "discriminator" + Extension;

    /// <summary>Discriminator trained beside the network, or null.</summary>
    public Adversary? Adversary { private get; init; }

    /// <summary>Size of the files in bytes, without headers.</summary>
    public long ByteCount
    {
        get
        {
            using var scope = TensorScope.Enter();
            return Files(null).SelectMany(static f => f.Tensors).Sum(static t => t.Value.Count * t.Value.DType.Size());
        }
    }

    /// <summary>Writes the files of this process.</summary>
    /// <param name="folder">Folder of the checkpoint.</param>
    /// <param name="shard">Number of the process and of all, if the states are divided among them; null if they are not.</param>
    /// <returns>Hashes of the files, by name.</returns>
    public Dictionary<string, string> Write(string folder, (int Rank, int Size)? shard) => Write(folder, Files(shard));

    /// <summary>Copies the tensors to main memory.</summary>
    /// <exception cref="OutOfDeviceMemoryException">The main memory does not suffice.</exception>
    public CheckpointCopy Copy() => new(Files(null));

    /// <summary>Writes files.</summary>
    /// <param name="folder">Folder of the checkpoint.</param>
    /// <param name="files">Files.</param>
    /// <returns>Hashes of the files, by name.</returns>
    internal static Dictionary<string, string> Write(string folder, IEnumerable<CheckpointFile> files) =>
        files.ToDictionary(
            static f => f.Name,
            f => SafetensorsWriter.WriteHashed(Path.Combine(folder, f.Name), f.Tensors),
            StringComparer.Ordinal
        );

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
        if (Adversary is not null && state.Files.ContainsKey(Discriminator))
        {
            using var discriminator = SafetensorsFile.Open(Path.Combine(folder, Discriminator));
            Adversary.LoadState(discriminator);
        }

        foreach (var average in averages)
        {
            using var shadows = Open(state, folder, StemOf(average));
            average.LoadState(shadows, steps);
        }
    }

    private IEnumerable<CheckpointFile> Files((int Rank, int Size)? shard)
    {
        if (shard is not { Rank: > 0 })
        {
            yield return new("weights" + Extension, network.Tensors());
            if (Adversary is not null)
                yield return new(Discriminator, Adversary.State());
        }

        yield return new(NameOf(Optimiser, shard), optimiser.State());
        foreach (var average in averages)
            yield return new(NameOf(StemOf(average), shard), average.Tensors());
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

/// <summary>A file of a checkpoint.</summary>
/// <param name="Name">File name.</param>
/// <param name="Tensors">Keys and tensors.</param>
internal readonly record struct CheckpointFile(string Name, IEnumerable<KeyValuePair<string, Tensor>> Tensors);
