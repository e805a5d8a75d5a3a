using Retouch.Core.Errors;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// Which of the files of a folder are its weights, where there are several: as diffusers 0.40 and transformers 5 choose. diffusers takes an
/// index with its shards before a single file, transformers a single file before an index; both take safetensors before what PyTorch
/// pickled. Without a variant, plain files are taken, or those of the only variant.
/// </summary>
/// <param name="Path">The file, or the index of shards.</param>
/// <param name="IsIndex">Whether it is an index.</param>
/// <param name="Note">What was left aside, a whole sentence; null where there is nothing.</param>
internal sealed record WeightChoice(string Path, bool IsIndex, string? Note)
{
    private static readonly string[] Variants = ["fp16", "bf16", "fp32", "non_ema", "ema"];

    /// <summary>Chooses.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="variant">Which variant, <c>fp16</c> for instance; null for none.</param>
    /// <param name="stem">Name without extension.</param>
    /// <exception cref="InputException">There are none, or several variants to choose from.</exception>
    public static WeightChoice Find(string folder, string? variant, string stem)
    {
        var found = Candidates(folder, variant, stem);
        if (found.Count == 0 && variant is null)
        {
            string[] variants = [.. Variants.Where(v => Candidates(folder, v, stem).Count > 0)];
            if (variants.Length > 1)
                throw new InputException(
                    $"'{folder}' has weights in the variants {string.Join(", ", variants)} and none " + $"without; choose one."
                );
            if (variants.Length == 1)
                found = Candidates(folder, variants[0], stem);
        }

        if (found.Count == 0)
        {
            var wanted = variant is null ? $"{stem}.safetensors" : $"{stem}.{variant}.safetensors";
            throw new InputException($"'{folder}' has no {wanted} (nor .bin) and no index of shards; it holds {Contents(folder)}.");
        }

        var (path, isIndex) = found[0];
        string[] others = [.. found.Skip(1).Select(static f => System.IO.Path.GetFileName(f.Path))];
        var note =
            others.Length == 0
                ? null
                : $"'{folder}' has its weights more than once: {System.IO.Path.GetFileName(path)} is read, "
                    + $"{string.Join(" and ", others)} left aside, as "
                    + $"{(stem == WeightFiles.TransformersStem ? "transformers" : "diffusers")} does.";
        return new(path, isIndex, note);
    }

    /// <summary>
    /// A variant where a component of a pipeline has it, else none: diffusers takes a pipeline's variant component by component.
    /// </summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="variant">The pipeline's variant.</param>
    /// <param name="stem">Name without extension.</param>
    public static string? OrPlain(string folder, string? variant, string stem = WeightFiles.Stem) =>
        variant is null || (Candidates(folder, variant, stem).Count == 0 && Candidates(folder, null, stem).Count > 0) ? null : variant;

    /// <summary>All weights of a variant, the one to be taken first.</summary>
    private static List<(string Path, bool IsIndex)> Candidates(string folder, string? variant, string stem)
    {
        var indexFirst = stem != WeightFiles.TransformersStem;
        // diffusers looks for an index of pickled shards last; transformers calls its pickled models otherwise.
        var pickled = Of(indexFirst ? stem : "pytorch_model", "bin", indexFirst: false);
        return [.. Of(stem, "safetensors", indexFirst), .. pickled];

        IEnumerable<(string, bool)> Of(string stem, string extension, bool indexFirst)
        {
            var single = System.IO.Path.Combine(folder, variant is null ? $"{stem}.{extension}" : $"{stem}.{variant}.{extension}");
            // Indices of variants have been named in several ways.
            string[] names = variant is null
                ? [$"{stem}.{extension}.index.json"]
                :
                [
                    $"{stem}.{extension}.index.{variant}.json",
                    $"{stem}.{extension}.{variant}.index.json",
                    $"{stem}.{variant}.{extension}.index.json",
                ];
            var indices = names.Select(name => (System.IO.Path.Combine(folder, name), true));
            IEnumerable<(string, bool)> all = indexFirst ? indices.Append((single, false)) : indices.Prepend((single, false));
            return all.Where(static f => File.Exists(f.Item1));
        }
    }

    private static string Contents(string folder)
    {
        var names = Directory
            .EnumerateFileSystemEntries(folder)
            .Select(static p => System.IO.Path.GetFileName(p))
            .Order(StringComparer.Ordinal)
            .Take(20)
            .ToList();
        return names.Count == 0 ? "nothing" : string.Join(", ", names);
    }
}
