using Retouch.Torch.Nn;

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

    /// <summary>Whether an encoder key lacks the prefix.</summary>
    public static bool IsBare(string key) => Array.Exists(Modules, m => key.StartsWith(m, StringComparison.Ordinal));

    /// <summary>Checkpoint with the prefix on all encoder keys.</summary>
    public static ITensorSource Of(ITensorSource source) =>
        source.Names.Any(IsBare) ? new RenamedTensors(source, static key => IsBare(key) ? Wrapper + key : key) : source;
}
