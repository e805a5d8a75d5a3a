namespace Retouch.Arena.Material;

/// <summary>A model's picture of an item.</summary>
/// <param name="Model">Name of the model: that of its folder.</param>
/// <param name="Item">Key of the item; pictures of the same item are compared.</param>
/// <param name="Path">Path relative to the study's folder, with '/'.</param>
/// <param name="Sha256">SHA-256 of the file, lower-case hexadecimal.</param>
internal sealed record ModelPicture(string Model, string Item, string Path, string Sha256);

/// <summary>Item of a study: a prompt, or a file name, of which several models have pictures.</summary>
/// <param name="Key">Unique key, shown to the owner: the file name, or prompt and seed.</param>
/// <param name="Prompt">Prompt of the pictures; null if unknown.</param>
/// <param name="Label">Class of the pictures, an int or a string; null if unknown.</param>
internal sealed record StudyItem(string Key, string? Prompt, object? Label = null);
