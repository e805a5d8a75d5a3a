namespace Retouch.Arena.Material;

/// <summary>One model's picture for one item.</summary>
/// <param name="Model">The model: the name of its folder.</param>
/// <param name="Item">What the picture is of; pictures of the same item are compared.</param>
/// <param name="Path">The file relative to the study's folder, with '/'.</param>
/// <param name="Sha256">The hash of the file's content, in hexadecimal.</param>
internal sealed record ModelPicture(string Model, string Item, string Path, string Sha256);

/// <summary>What models were asked for.</summary>
/// <param name="Key">Tells items apart and is shown to the owner: the file's name, or prompt and seed.</param>
/// <param name="Prompt">The text the pictures were drawn from; null where none is known.</param>
internal sealed record StudyItem(string Key, string? Prompt);
