using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Data;
using Retouch.Data.Pairs;

namespace Retouch.Training.State;

/// <summary>What is other than when a run was last trained.</summary>
/// <param name="Text">What, in words.</param>
/// <param name="Matters">Whether going on would silently mean something else than it did.</param>
public sealed record RunChange(string Text, bool Matters);

/// <summary>What was known of a sample.</summary>
/// <param name="Label">Its class.</param>
/// <param name="Captions">A hash of its captions.</param>
/// <param name="Stamp">Of its file.</param>
internal sealed record KnownSample(int? Label, string Captions, string Stamp);

/// <summary>
/// What a run depends on beside its options: libtorch, the files of its model, and what is known of every sample, from which the order of
/// the samples follows. It stands in the run's folder, and a run that goes on is compared with it.
/// </summary>
/// <param name="Libtorch">The version.</param>
/// <param name="Model">A hash of each part of the model, by name.</param>
/// <param name="Samples">By a name that holds their source.</param>
internal sealed record RunInputs(
    string Libtorch,
    IReadOnlyDictionary<string, string> Model,
    IReadOnlyDictionary<string, KnownSample> Samples
)
{
    private const int Shown = 3;

    /// <summary>Of a run that is about to train.</summary>
    /// <param name="libtorch">The version.</param>
    /// <param name="model">A hash of each part of the model, by name.</param>
    /// <param name="sources">The data.</param>
    public static RunInputs Of(string libtorch, IReadOnlyDictionary<string, string> model, IReadOnlyList<IPictureSource> sources)
    {
        ArgumentNullException.ThrowIfNull(sources);
        var samples = new Dictionary<string, KnownSample>(StringComparer.Ordinal);
        foreach (var source in sources)
        {
            for (var k = 0; k < source.Count; k++)
            {
                var sample = source[k];
                var name = source is IPairSource pairs ? $"{sample.Id} > {pairs.Loser(k).Id}" : sample.Id;
                var unique = name;
                for (var again = 2; samples.ContainsKey(unique); again++)
                    unique = $"{name} ({again})";
                samples.Add(unique, new KnownSample(sample.Label, Hash(sample.AllCaptions), source.Stamp(k)));
            }
        }

        return new(libtorch, model, samples);
    }

    /// <summary>Reads a run's; null where there are none, as of runs of earlier versions.</summary>
    /// <exception cref="InputException">The file is broken.</exception>
    public static RunInputs? Read(string path)
    {
        if (!File.Exists(path))
            return null;
        try
        {
            return JsonSerializer.Deserialize<RunInputs>(PlainText.Read(path));
        }
        catch (JsonException e)
        {
            throw new InputException(
                $"'{path}' cannot be read: {Reasons.Of(e)}. Put back a copy of it, or delete it and go on unchecked.",
                e
            );
        }
    }

    /// <summary>Writes them, atomically.</summary>
    public void Save(string path) => AtomicFile.WriteText(path, JsonSerializer.Serialize(this) + "\n");

    /// <summary>What is other now.</summary>
    /// <param name="now">Of the run that is about to go on.</param>
    public IEnumerable<RunChange> ChangesTo(RunInputs now)
    {
        ArgumentNullException.ThrowIfNull(now);
        if (now.Libtorch != Libtorch)
            yield return new($"libtorch is {now.Libtorch}; it was {Libtorch}: numbers differ in their last places", Matters: false);
        foreach (var part in Model.Keys.Union(now.Model.Keys, StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            if (Model.GetValueOrDefault(part) != now.Model.GetValueOrDefault(part))
                yield return new($"the model's {part} has other files", Matters: true);
        }

        var both = Samples.Keys.Where(now.Samples.ContainsKey).ToArray();
        string[] added = [.. now.Samples.Keys.Where(k => !Samples.ContainsKey(k))];
        string[] removed = [.. Samples.Keys.Where(k => !now.Samples.ContainsKey(k))];
        string[] relabelled = [.. both.Where(k => Samples[k].Label != now.Samples[k].Label)];
        string[] captioned = [.. both.Where(k => Samples[k].Captions != now.Samples[k].Captions)];
        string[] touched = [.. both.Where(k => Samples[k].Stamp != now.Samples[k].Stamp)];
        if (added.Length > 0)
            yield return new($"{List(added)} came to the data, which changes the order of all", Matters: true);
        if (removed.Length > 0)
            yield return new($"{List(removed)} left the data, which changes the order of all", Matters: true);
        if (relabelled.Length > 0)
            yield return new($"{List(relabelled)} {Have(relabelled)} another class", Matters: true);
        if (captioned.Length > 0)
            yield return new($"{List(captioned)} {Have(captioned)} other captions", Matters: true);
        if (touched.Length > 0)
            yield return new($"{List(touched)} {Have(touched)} a file of another length or time", Matters: false);
    }

    /// <summary>Whether the samples are as many, under the same names: a place in the data means the same then.</summary>
    public bool HasSamplesOf(RunInputs other) => Samples.Count == other.Samples.Count && Samples.Keys.All(other.Samples.ContainsKey);

    private static string Have(string[] names) => names.Length == 1 ? "has" : "have";

    private static string List(string[] names) =>
        $"{Figures.Count(names.Length)} {(names.Length == 1 ? "sample" : "samples")} ({string.Join(", ", names.Order(StringComparer.Ordinal).Take(Shown).Select(static n => Excerpt.Of(n)))}"
        + $"{(names.Length > Shown ? ", …" : "")})";

    private static string Hash(IReadOnlyList<string> captions) =>
        captions.Count == 0 ? "" : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', captions))))[..16];
}
