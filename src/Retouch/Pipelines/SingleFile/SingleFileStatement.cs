using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.SingleFile;

/// <summary>
/// What a single file says of itself: members of its header (Stability AI's ModelSpec, and what sd-scripts adds) and the empty tensors
/// <c>v_pred</c> and <c>ztsnr</c> by which ComfyUI knows such models.
/// </summary>
/// <param name="PredictsVelocity">Whether the denoiser predicts v; null where nothing is said.</param>
/// <param name="ZeroTerminalSnr">Whether the noise schedule ends without any signal.</param>
/// <param name="Contradiction">Two statements about the prediction that exclude each other, in words; null where there are none.</param>
/// <param name="Notes">What else does not agree, whole sentences.</param>
internal sealed record SingleFileStatement(bool? PredictsVelocity, bool ZeroTerminalSnr, string? Contradiction, IReadOnlyList<string> Notes)
{
    private const string Prediction = "modelspec.prediction_type";
    private const string Architecture = "modelspec.architecture";

    /// <summary>Reads it.</summary>
    /// <param name="source">The file.</param>
    /// <param name="kind">What the tensors are.</param>
    /// <param name="origin">The file's name, for messages.</param>
    public static SingleFileStatement Read(ITensorSource source, SingleFileKind kind, string origin)
    {
        var header = (source as SafetensorsFile)?.Metadata ?? new Dictionary<string, string>(StringComparer.Ordinal);
        var names = source.Names.ToHashSet(StringComparer.Ordinal);
        var architecture = header.GetValueOrDefault(Architecture);
        (string Where, bool Velocity)[] said =
        [
            .. names.Contains("v_pred") ? [("the tensor v_pred", true)] : Array.Empty<(string, bool)>(),
            .. Of(Prediction, header.GetValueOrDefault(Prediction)),
            .. OfArchitecture(architecture),
        ];
        var statements = said.Select(static s => $"{s.Where} says that the denoiser predicts {(s.Velocity ? "v" : "ε")}");
        var differ = said.Select(static s => s.Velocity).Distinct().Count() > 1;
        var contradiction = differ ? $"'{origin}': {string.Join(", but ", statements)}" : null;
        List<string> notes = [];
        if (architecture is not null && KindOf(architecture) is { } stated && stated != kind)
            notes.Add($"'{origin}': {Architecture} is {architecture}, but its tensors are those of {kind}; the tensors count.");
        var zero = names.Contains("ztsnr") || header.GetValueOrDefault("ss_zero_terminal_snr") == "True";
        return new(said.Length == 0 ? null : said[0].Velocity, zero, contradiction, notes);
    }

    private static IEnumerable<(string, bool)> Of(string name, string? text) =>
        text?.ToLowerInvariant() switch
        {
            "v" or "v_prediction" or "v-prediction" or "vpred" => [($"{name} of the header", true)],
            "epsilon" or "eps" or "epsilon_prediction" => [($"{name} of the header", false)],
            _ => [],
        };

    // sd-scripts names the second generation by its prediction.
    private static IEnumerable<(string, bool)> OfArchitecture(string? architecture) =>
        architecture?.Split('/')[0] switch
        {
            "stable-diffusion-v2-768-v" => [($"{Architecture} of the header", true)],
            "stable-diffusion-v2-512" => [($"{Architecture} of the header", false)],
            _ => [],
        };

    private static SingleFileKind? KindOf(string architecture) =>
        architecture.StartsWith("stable-diffusion-xl", StringComparison.Ordinal) ? SingleFileKind.StableDiffusionXl
        : architecture.StartsWith("stable-diffusion-v1", StringComparison.Ordinal) ? SingleFileKind.StableDiffusion1
        : architecture.StartsWith("stable-diffusion-v2", StringComparison.Ordinal) ? SingleFileKind.StableDiffusion2
        : null;
}
