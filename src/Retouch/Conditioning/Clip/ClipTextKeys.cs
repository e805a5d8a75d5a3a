namespace Retouch.Conditioning.Clip;

/// <summary>
/// Keys of the CLIP text encoder. Since version 5.6, transformers saves <c>CLIPTextModel</c> without the <c>text_model.</c> prefix of
/// earlier versions and of <c>CLIPTextModelWithProjection</c>.
/// </summary>
internal static class ClipTextKeys
{
    /// <summary>Key prefix of the encoder.</summary>
    public const string Wrapper = "text_model.";

    private static readonly string[] Modules = ["embeddings.", "encoder.", "final_layer_norm."];

    /// <summary>A key with the prefix, if it is the encoder's.</summary>
    public static string Wrapped(string key) =>
        Array.Exists(Modules, m => key.StartsWith(m, StringComparison.Ordinal)) ? Wrapper + key : key;
}
