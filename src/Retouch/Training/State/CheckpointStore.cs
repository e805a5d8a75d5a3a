using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Training.Distributed;

namespace Retouch.Training.State;

/// <summary>
/// Checkpoints of a run, one folder each: <c>checkpoints/step-00000500</c>. A checkpoint is written atomically by a rename, with the hashes
/// of its files in <c>state.json</c>; reading takes the newest intact one, so a kill at any time costs at most the steps since the previous
/// checkpoint.
/// </summary>
public sealed class CheckpointStore
{
    private const string StateFile = "state.json";
    private const string Prefix = "step-";
    private readonly string _root;

    /// <param name="runFolder">Folder of the run; checkpoints are in its subfolder <c>checkpoints</c>.</param>
    public CheckpointStore(string runFolder) => _root = Path.Combine(Path.GetFullPath(runFolder), "checkpoints");

    /// <summary>Steps with a checkpoint folder, ascending; integrity is checked on reading.</summary>
    public IReadOnlyList<long> Steps =>
        !Directory.Exists(_root)
            ? []
            :
            [
                .. Directory
                    .EnumerateDirectories(_root, Prefix + "*")
                    .Select(static d => StepOf(Path.GetFileName(d)))
                    .OfType<long>()
                    .Order(),
            ];

    /// <summary>Folder of a step's checkpoint.</summary>
    public string FolderOf(long step) => Path.Combine(_root, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{step:D8}"));

    /// <summary>Writes a checkpoint, then deletes the oldest beyond <paramref name="keep"/>.</summary>
    /// <param name="state">State without <see cref="TrainingState.Files"/>, which are added here.</param>
    /// <param name="keep">Checkpoints to keep, at least 1.</param>
    /// <param name="writeFiles">Writes the tensors into the given folder; returns the hashes of its files, by name
    /// (<see cref="Hash"/>).</param>
    /// <exception cref="EnvironmentException">The disk is full or not writable; earlier checkpoints are untouched.</exception>
    public void Write(TrainingState state, int keep, Func<string, IReadOnlyDictionary<string, string>> writeFiles)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(writeFiles);
        ArgumentOutOfRangeException.ThrowIfLessThan(keep, 1);
        void WriteAll()
        {
            DeleteTemporary();
            AtomicFolder.Write(
                FolderOf(state.Step),
                folder =>
                {
                    var hashes = new SortedDictionary<string, string>(
                        writeFiles(folder).ToDictionary(StringComparer.Ordinal),
                        StringComparer.Ordinal
                    );
                    AtomicFile.WriteText(
                        Path.Combine(folder, StateFile),
                        JsonSerializer.Serialize(state with { Files = hashes }, JsonStyles.State)
                    );
                }
            );
            // Checkpoints of later steps are corrupt, since the run resumed before them; counting them would displace intact ones.
            foreach (var step in Steps.Where(s => s <= state.Step).SkipLast(keep).Concat(Steps.Where(s => s > state.Step)))
                Directory.Delete(FolderOf(step), recursive: true);
        }

        Part(state.Step, WriteAll);
    }

    /// <summary>Writes a checkpoint, or a part of one.</summary>
    /// <param name="step">Step of the checkpoint.</param>
    /// <param name="write">Writes it.</param>
    /// <exception cref="EnvironmentException">The disk is full or not writable.</exception>
    internal static void Part(long step, Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or EnvironmentException and not PeerException)
        {
            throw new EnvironmentException(
                $"The checkpoint of step {step} could not be written: {Reasons.Of(e)}. Earlier checkpoints are untouched; "
                    + $"--resume continues from the last.",
                e
            );
        }
    }

    /// <summary>State of the newest checkpoint without checking its files, or null.</summary>
    public TrainingState? Peek()
    {
        foreach (var step in Steps.Reverse())
        {
            try
            {
                return ReadState(FolderOf(step));
            }
            catch (Exception e) when (e is IOException or JsonException or InputException or UnauthorizedAccessException)
            {
                // A corrupt checkpoint is reported when it is read.
            }
        }

        return null;
    }

    /// <summary>Newest checkpoint with all files intact.</summary>
    /// <param name="skipped">Receives a message for each newer, corrupt checkpoint.</param>
    /// <returns>State and folder, or null without checkpoints.</returns>
    /// <exception cref="InputException">All checkpoints are corrupt; starting over is left to the user.</exception>
    public (TrainingState State, string Folder)? ReadNewest(Action<string> skipped)
    {
        ArgumentNullException.ThrowIfNull(skipped);
        List<string> broken = [];
        foreach (var step in Steps.Reverse())
        {
            var folder = FolderOf(step);
            try
            {
                return (Check(folder, step), folder);
            }
            catch (Exception e) when (e is IOException or JsonException or InputException or UnauthorizedAccessException)
            {
                broken.Add($"{Path.GetFileName(folder)}: {Reasons.Of(e)}");
                skipped($"The checkpoint '{folder}' is corrupt ({Reasons.Of(e)}); trying the previous one.");
            }
        }

        return broken.Count == 0
            ? null
            : throw new InputException(
                $"No checkpoint in '{_root}' is intact:\n  {string.Join("\n  ", broken)}\nRestore a copy of one, or start a new "
                    + $"run in another folder."
            );
    }

    private static TrainingState ReadState(string folder) =>
        JsonSerializer.Deserialize<TrainingState>(File.ReadAllText(Path.Combine(folder, StateFile)), JsonStyles.State)
        ?? throw new InputException($"{StateFile} is empty");

    private static TrainingState Check(string folder, long step)
    {
        var state = ReadState(folder);
        if (state.Version is < 1 or > TrainingState.CurrentVersion)
            throw new InputException($"it has layout {state.Version}, this program reads up to {TrainingState.CurrentVersion}");
        if (state.Step != step)
            throw new InputException($"{StateFile} is for step {state.Step}");
        if (state.Files is not { Count: > 0 } files)
            throw new InputException($"{StateFile} lists no files");
        foreach (var (name, hash) in files)
        {
            var path = Path.Combine(folder, name);
            if (!File.Exists(path))
                throw new InputException($"{name} is missing");
            if (Hash(path) != hash)
                throw new InputException($"{name} does not have the hash it was written with");
        }

        return state;
    }

    /// <summary>Hash of a file.</summary>
    public static string Hash(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    private static long? StepOf(string name) =>
        long.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var step) ? step : null;

    private void DeleteTemporary()
    {
        if (!Directory.Exists(_root))
            return;
        foreach (var stray in Directory.EnumerateDirectories(_root, Prefix + "*" + AtomicFile.TemporarySuffix))
            Directory.Delete(stray, recursive: true);
    }
}
