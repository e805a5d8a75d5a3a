using Retouch.Torch.Nn;

namespace Retouch.Conditioning.Clip;

/// <summary>
/// The keys of CLIP's text encoder. Since version 5.6, transformers saves <c>CLIPTextModel</c> without the <c>text_model.</c> that all
/// earlier versions, and <c>CLIPTextModelWithProjection</c> still, put before them.
/// </summary>
internal static class ClipTextKeys
{
    /// <summary>What stands before a key of the encoder.</summary>
    public const string Wrapper = "text_model.";

    private static readonly string[] Modules = ["embeddings.", "encoder.", "final_layer_norm."];

    /// <summary>Whether a key is one without its wrapper.</summary>
    public static bool IsBare(string key) => Array.Exists(Modules, m => key.StartsWith(m, StringComparison.Ordinal));

    /// <summary>A checkpoint with the wrapper before all keys of the encoder.</summary>
    public static ITensorSource Of(ITensorSource source) =>
        source.Names.Any(IsBare) ? new RenamedTensors(source, static key => IsBare(key) ? Wrapper + key : key) : source;
}
