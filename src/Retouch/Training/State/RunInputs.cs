using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Data;
using Retouch.Data.Pairs;

namespace Retouch.Training.State;

/// <summary>A change since the run was last trained.</summary>
/// <param name="Text">Description.</param>
/// <param name="Matters">Whether resuming would silently change the meaning of the run.</param>
public sealed record RunChange(string Text, bool Matters);

/// <summary>Recorded metadata of a sample.</summary>
/// <param name="Label">Its class.</param>
/// <param name="Captions">Hash of its captions.</param>
/// <param name="Stamp">Stamp of its file: length and time.</param>
internal sealed record KnownSample(int? Label, string Captions, string Stamp);

/// <summary>
/// Inputs of a run besides its options: libtorch version, files of the model, and metadata of every sample, which determine the order of
/// samples. Stored in the run folder and compared on resume.
/// </summary>
/// <param name="Libtorch">Version of libtorch.</param>
/// <param name="Model">Hash of each part of the model, by name.</param>
/// <param name="Samples">Samples, by source and name.</param>
internal sealed record RunInputs(
    string Libtorch,
    IReadOnlyDictionary<string, string> Model,
    IReadOnlyDictionary<string, KnownSample> Samples
)
{
    private const int Shown = 3;

    /// <summary>Inputs of a run before training.</summary>
    /// <param name="libtorch">Version of libtorch.</param>
    /// <param name="model">Hash of each part of the model, by name.</param>
    /// <param name="sources">Training data.</param>
    /// <param name="heldOut">Held-out samples, or null; their names have a prefix.</param>
    public static RunInputs Of(
        string libtorch,
        IReadOnlyDictionary<string, string> model,
        IReadOnlyList<IPictureSource> sources,
        IPictureSource? heldOut = null
    )
    {
        ArgumentNullException.ThrowIfNull(sources);
        var samples = new Dictionary<string, KnownSample>(StringComparer.Ordinal);
        foreach (var source in heldOut is null ? sources : [.. sources, heldOut])
        {
            for (var k = 0; k < source.Count; k++)
            {
                var sample = source[k];
                var name = source is IPairSource pairs ? $"{sample.Id} > {pairs.Loser(k).Id}" : sample.Id;
                name = source == heldOut ? $"held out: {name}" : name;
                var unique = name;
                for (var again = 2; samples.ContainsKey(unique); again++)
                    unique = $"{name} ({again})";
                samples.Add(unique, new KnownSample(sample.Label, Hash(sample.AllCaptions), StampOf(source, k)));
            }
        }

        return new(libtorch, model, samples);
    }

    private static string StampOf(IPictureSource source, int index) =>
        source.HasMask(index) ? $"{source.Stamp(index)}+{source.MaskStamp(index)}" : source.Stamp(index);

    /// <summary>Reads recorded inputs; null for runs of earlier versions without them.</summary>
    /// <exception cref="InputException">The file is invalid.</exception>
    public static RunInputs? Read(string path) =>
        File.Exists(path)
            ? JsonFile.Read<RunInputs>(path, JsonStyles.Verbatim, "Restore a copy, or delete it to resume without this check.")
            : null;

    /// <summary>Writes the inputs atomically.</summary>
    public void Save(string path) => AtomicFile.WriteText(path, JsonSerializer.Serialize(this, JsonStyles.Verbatim) + "\n");

    /// <summary>Changes relative to these inputs.</summary>
    /// <param name="now">Inputs of the resumed run.</param>
    public IEnumerable<RunChange> ChangesTo(RunInputs now)
    {
        ArgumentNullException.ThrowIfNull(now);
        if (now.Libtorch != Libtorch)
            yield return new($"libtorch is {now.Libtorch}; it was {Libtorch}: results differ in the last digits", Matters: false);
        foreach (var part in Model.Keys.Union(now.Model.Keys, StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            if (Model.GetValueOrDefault(part) != now.Model.GetValueOrDefault(part))
                yield return new($"the files of the model's {part} have changed", Matters: true);
        }

        var both = Samples.Keys.Where(now.Samples.ContainsKey).ToArray();
        string[] added = [.. now.Samples.Keys.Where(k => !Samples.ContainsKey(k))];
        string[] removed = [.. Samples.Keys.Where(k => !now.Samples.ContainsKey(k))];
        string[] relabelled = [.. both.Where(k => Samples[k].Label != now.Samples[k].Label)];
        string[] captioned = [.. both.Where(k => Samples[k].Captions != now.Samples[k].Captions)];
        string[] touched = [.. both.Where(k => Samples[k].Stamp != now.Samples[k].Stamp)];
        if (added.Length > 0)
            yield return new($"{List(added)} {Have(added)} been added to the data, which changes the order of all samples", Matters: true);
        if (removed.Length > 0)
            yield return new(
                $"{List(removed)} {Have(removed)} been removed from the data, which changes the order of all samples",
                Matters: true
            );
        if (relabelled.Length > 0)
            yield return new($"{List(relabelled)} {Have(relabelled)} a different class", Matters: true);
        if (captioned.Length > 0)
            yield return new($"{List(captioned)} {Have(captioned)} different captions", Matters: true);
        if (touched.Length > 0)
            yield return new($"{List(touched)} {Have(touched)} a file of different length or time", Matters: false);
    }

    /// <summary>Whether both have the same sample names, so that a position in the data keeps its meaning.</summary>
    public bool HasSamplesOf(RunInputs other) => Samples.Count == other.Samples.Count && Samples.Keys.All(other.Samples.ContainsKey);

    private static string Have(string[] names) => names.Length == 1 ? "has" : "have";

    private static string List(string[] names)
    {
        var shown = names.Order(StringComparer.Ordinal).Take(Shown).Select(static n => Excerpt.Of(n));
        return $"{Figures.Count(names.Length)} {(names.Length == 1 ? "sample" : "samples")} ({string.Join(", ", shown)}"
            + $"{(names.Length > Shown ? ", …" : "")})";
    }

    private static string Hash(IReadOnlyList<string> captions) =>
        captions.Count == 0 ? "" : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', captions))))[..16];
}
