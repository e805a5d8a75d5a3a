namespace Retouch.Arena.Material;

/// <summary>One model's picture for one item.</summary>
/// <param name="Model">The model: the name of its folder.</param>
/// <param name="Item">Key of the item; pictures of the same item are compared.</param>
/// <param name="Path">The file relative to the study's folder, with '/'.</param>
/// <param name="Sha256">The hash of the file's content, in hexadecimal.</param>
internal sealed record ModelPicture(string Model, string Item, string Path, string Sha256);

/// <summary>An item: what several models have pictures of.</summary>
/// <param name="Key">Unique key, shown to the owner: the file name, or prompt and seed.</param>
/// <param name="Prompt">Prompt of the pictures; null if unknown.</param>
internal sealed record StudyItem(string Key, string? Prompt);
