using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.SingleFile;

/// <summary>
/// Metadata of a single file: header members (Stability AI's ModelSpec, and those of sd-scripts), and the empty tensors <c>v_pred</c> and
/// <c>ztsnr</c>, which ComfyUI uses as flags.
/// </summary>
/// <param name="PredictsVelocity">Whether the denoiser predicts v; null if unspecified.</param>
/// <param name="ZeroTerminalSnr">Whether the noise schedule has zero terminal SNR.</param>
/// <param name="Contradiction">Contradictory statements about the prediction type, or null.</param>
/// <param name="Notes">Other contradictions, whole sentences.</param>
internal sealed record SingleFileStatement(bool? PredictsVelocity, bool ZeroTerminalSnr, string? Contradiction, IReadOnlyList<string> Notes)
{
    private const string Prediction = "modelspec.prediction_type";
    private const string Architecture = "modelspec.architecture";

    /// <summary>Reads the metadata.</summary>
    /// <param name="source">The file.</param>
    /// <param name="kind">Model family according to the tensors.</param>
    /// <param name="origin">File name for messages.</param>
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
            notes.Add($"'{origin}': {Architecture} is {architecture}, but its tensors are those of {kind}; the tensors are used.");
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

    // In sd-scripts the architecture of Stable Diffusion 2 includes the prediction type.
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
