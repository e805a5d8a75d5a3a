using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// Selects the weight files of a folder that has several, as diffusers 0.40 and transformers 5 do. diffusers prefers an index with shards
/// over a single file, transformers a single file over an index; both prefer safetensors over PyTorch pickles. Without a variant, plain
/// files are used, or those of the only variant.
/// </summary>
/// <param name="Path">The file, or the index of shards.</param>
/// <param name="IsIndex">Whether it is an index.</param>
/// <param name="Note">Sentence about ignored files, or null.</param>
internal sealed record WeightChoice(string Path, bool IsIndex, string? Note)
{
    private static readonly string[] Variants = [.. DTypes.Precisions.Values.Select(DTypes.Abbreviation), "non_ema", "ema"];

    /// <summary>Selects the weights.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="variant">Variant, such as <c>fp16</c>, or null.</param>
    /// <param name="stem">File name without extension.</param>
    /// <exception cref="InputException">There are no weights, or several variants.</exception>
    public static WeightChoice Find(string folder, string? variant, string stem)
    {
        var found = Candidates(folder, variant, stem);
        if (found.Count == 0 && variant is null)
        {
            string[] variants = [.. Variants.Where(v => Candidates(folder, v, stem).Count > 0)];
            if (variants.Length > 1)
                throw new InputException($"'{folder}' has weights only in the variants {string.Join(", ", variants)}; choose one.");
            if (variants.Length == 1)
                found = Candidates(folder, variants[0], stem);
        }

        if (found.Count == 0)
        {
            var wanted = variant is null ? $"{stem}.safetensors" : $"{stem}.{variant}.safetensors";
            throw new InputException($"'{folder}' has no {wanted} (nor .bin) and no index of shards; it contains {Contents(folder)}.");
        }

        var (path, isIndex) = found[0];
        string[] others = [.. found.Skip(1).Select(static f => System.IO.Path.GetFileName(f.Path))];
        var note =
            others.Length == 0
                ? null
                : $"'{folder}' has several weight files: {System.IO.Path.GetFileName(path)} is read and "
                    + $"{string.Join(" and ", others)} ignored, as "
                    + $"{(stem == WeightFiles.TransformersStem ? "transformers" : "diffusers")} does.";
        return new(path, isIndex, note);
    }

    /// <summary>The variant if a component of a pipeline has it, else null: diffusers applies a pipeline's variant per component.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="variant">Variant of the pipeline.</param>
    /// <param name="stem">File name without extension.</param>
    public static string? OrPlain(string folder, string? variant, string stem = WeightFiles.Stem) =>
        variant is null || (Candidates(folder, variant, stem).Count == 0 && Candidates(folder, null, stem).Count > 0) ? null : variant;

    /// <summary>All weights of a variant, in order of preference.</summary>
    private static List<(string Path, bool IsIndex)> Candidates(string folder, string? variant, string stem)
    {
        var indexFirst = stem != WeightFiles.TransformersStem;
        // diffusers tries an index of pickled shards last; transformers has a different name for pickled weights.
        var pickled = Of(indexFirst ? stem : "pytorch_model", "bin", indexFirst: false);
        return [.. Of(stem, "safetensors", indexFirst), .. pickled];

        IEnumerable<(string, bool)> Of(string stem, string extension, bool indexFirst)
        {
            var single = System.IO.Path.Combine(folder, variant is null ? $"{stem}.{extension}" : $"{stem}.{variant}.{extension}");
            // The naming of variant indices has changed over time.
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
