using System.Security.Cryptography;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;

namespace Retouch.Arena.Material;

/// <summary>
/// Pictures of a study: each subfolder with pictures is a model. Pictures of different models belong to one item if prompt and seed in
/// their metadata agree; if a picture has no seed or a seed occurs twice, items are matched by relative path without extension.
/// </summary>
internal sealed class StudyMaterial
{
    private readonly Dictionary<(string Model, string Item), ModelPicture> _pictures = [];
    private readonly Dictionary<string, StudyItem> _items = new(StringComparer.Ordinal);
    private readonly List<string> _differing = [];

    private StudyMaterial(string root) => Root = root;

    /// <summary>Absolute path of the study's folder.</summary>
    public string Root { get; }

    /// <summary>Names of the models, in ordinal order.</summary>
    public IReadOnlyList<string> Models { get; private set; } = [];

    /// <summary>Items with at least one picture, in ordinal order of their keys.</summary>
    public IReadOnlyList<StudyItem> Items { get; private set; } = [];

    /// <summary>All pictures.</summary>
    public IReadOnlyCollection<ModelPicture> Pictures => _pictures.Values;

    /// <summary>Whether pictures were matched by prompt and seed rather than by name.</summary>
    public bool MatchedBySeed { get; private set; }

    /// <summary>A model's picture of an item, or null.</summary>
    public ModelPicture? Find(string model, string item) => _pictures.GetValueOrDefault((model, item));

    /// <summary>Reads and hashes all pictures below a folder.</summary>
    /// <exception cref="InputException">The folder does not exist or has no pictures, or a symbolic link leads out of it.</exception>
    public static StudyMaterial Read(string root, CancellationToken cancellation = default)
    {
        if (!Directory.Exists(root))
            throw new InputException($"The folder '{root}' does not exist. Give a folder with one subfolder of pictures per model.");
        var material = new StudyMaterial(RealPath.Of(root));
        var folders = new List<(string Model, FolderScan Scan, PictureMetadata[] Metadata)>();
        foreach (var folder in Directory.GetDirectories(material.Root).Order(StringComparer.Ordinal))
        {
            var name = Path.GetFileName(folder);
            if (name.StartsWith('.') || !HoldsPictures(folder))
                continue;
            var scan = FolderScan.Read(folder);
            foreach (var path in scan.Pictures.Concat(scan.Metadata).Concat(scan.CaptionFiles))
                material.RefuseLinksOutside(scan.FullPath(path));
            folders.Add((name, scan, PictureMetadata.Read(scan)));
        }

        if (folders.Count == 0)
            throw new InputException(
                $"No subfolder of '{root}' contains pictures. Put the pictures of each model into a separate subfolder."
            );
        material.MatchedBySeed = folders.TrueForAll(static f => SeedsIdentify(f.Metadata));
        foreach (var (model, scan, metadata) in folders)
        {
            for (var k = 0; k < metadata.Length; k++)
                material.Add(model, scan, scan.Pictures[k], metadata[k], cancellation);
        }

        material.Models = [.. folders.Select(static f => f.Model)];
        material.NameClasses();
        material.Items = [.. material._items.Values.OrderBy(static i => i.Key, StringComparer.Ordinal)];
        return material;
    }

    private static bool HoldsPictures(string folder) =>
        Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true }).Any(PictureFile.HasPictureExtension);

    private static bool SeedsIdentify(PictureMetadata[] metadata) =>
        metadata.All(static m => m.Seed is not null)
        && metadata.Select(SeedKey).Distinct(StringComparer.Ordinal).Count() == metadata.Length;

    private static string SeedKey(PictureMetadata metadata) =>
        $"{metadata.Prompt ?? (metadata.Label is { } label ? $"class {label}" : "")} #{metadata.Seed}".TrimStart();

    /// <summary>If the models number their classes differently, the pictures' prompts (the class names) are the labels.</summary>
    /// <exception cref="InputException">Pictures of an item are of different classes.</exception>
    private void NameClasses()
    {
        if (_differing.Count == 0)
            return;
        if (_items.Values.FirstOrDefault(static i => i.Label is not null && i.Prompt is null) is { } unnamed)
            throw new InputException(
                $"The pictures of '{_differing[0]}' have different classes in different folders, and those of '{unnamed.Key}' no class "
                    + "name (\"text\" in metadata.jsonl). Sample the same classes with the same seeds from every model."
            );
        foreach (var item in _items.Values.Where(static i => i.Label is not null).ToList())
            _items[item.Key] = item with { Label = item.Prompt };
    }

    private void Add(string model, FolderScan scan, string path, PictureMetadata metadata, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var key = MatchedBySeed ? SeedKey(metadata) : path[..^Path.GetExtension(path).Length];
        var full = scan.FullPath(path);
        var content = File.ReadAllBytes(full);
        // Unreadable pictures are reported at start, not while raters judge.
        PictureFile.Probe(content, full);
        var picture = new ModelPicture(
            model,
            key,
            Path.GetRelativePath(Root, full).Replace('\\', '/'),
            Convert.ToHexStringLower(SHA256.HashData(content))
        );
        if (!_pictures.TryAdd((model, key), picture))
            throw new InputException($"'{full}' and '{_pictures[(model, key)].Path}' differ only in the extension; rename one of them.");
        if (!_items.TryGetValue(key, out var item))
            _items[key] = new(key, metadata.Prompt, metadata.Label);
        else if (item.Prompt is null)
            _items[key] = item with { Prompt = metadata.Prompt, Label = item.Label ?? metadata.Label };
        else if (metadata.Prompt is not null && metadata.Prompt != item.Prompt)
            throw new InputException(
                $"'{full}' has the prompt \"{metadata.Prompt}\", another model's picture of that name \"{item.Prompt}\"; "
                    + $"they cannot be compared. Give every picture a seed in metadata.jsonl, or rename it."
            );
        else
            _items[key] = item with { Label = item.Label ?? metadata.Label };
        if (item?.Label is { } known && metadata.Label is { } label && !label.Equals(known))
            _differing.Add(key);
    }

    private void RefuseLinksOutside(string path)
    {
        if (!RealPath.Of(path).StartsWith(Root + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            throw new InputException(
                $"'{path}' is a symbolic link out of '{Root}'; raters see files inside the folder only. Copy the file, or "
                    + $"use a hard link."
            );
    }
}
