using System.ComponentModel;
using Retouch.Torch.Nn;

namespace Retouch.Training.Options;

/// <summary>Low-rank adapters that are trained instead of the denoiser's own weights (Hu et al., "LoRA", 2021).</summary>
public sealed record LoraOptions
{
    /// <summary>Rank of each adapter.</summary>
    [Description("Rank of each adapter.")]
    public int Rank { get; init; } = 16;

    /// <summary>The adapters' part is scaled by alpha/rank; null stands for the rank, a scale of 1.</summary>
    [Description("The adapters' part is scaled by alpha/rank; default: the rank, a scale of 1.")]
    public double? Alpha { get; init; }

    /// <summary>Which layers, as <see cref="AdapterOptions.Targets"/>.</summary>
    [Description("Which layers: attention, all-linear, all, or ends of module paths, as ff.net.2.")]
    public IReadOnlyList<string> Targets { get; init; } = [AdapterOptions.Attention];

    /// <summary>How the first factor starts; the second is zero.</summary>
    [Description("How the first factor starts (the second is zero): kaimingUniform or gaussian.")]
    public AdapterInit Start { get; init; }

    internal AdapterOptions ToAdapterOptions() =>
        new()
        {
            Rank = Rank,
            Alpha = Alpha,
            Targets = Targets,
            Start = Start,
        };

    internal void Validate(Action<bool, string> require)
    {
        require(Rank >= 1, $"lora.rank is {Rank}; it is at least 1");
        require(Alpha is null or (> 0 and < double.PositiveInfinity), $"lora.alpha is {Alpha}; it is above 0");
        require(
            Targets.Count > 0 && Targets.All(static t => !string.IsNullOrWhiteSpace(t)),
            "lora.targets: at least one, and none is empty"
        );
        require(Targets.Distinct(StringComparer.Ordinal).Count() == Targets.Count, "lora.targets: one is there twice");
        var wide = Targets.FirstOrDefault(static t => t is AdapterOptions.All or AdapterOptions.AllLinear);
        require(wide is not AdapterOptions.All || Targets.Count == 1, "lora.targets: beside all, the others would do nothing");
        require(
            wide is not AdapterOptions.AllLinear || !Targets.Contains(AdapterOptions.Attention, StringComparer.Ordinal),
            "lora.targets: beside all-linear, attention would do nothing"
        );
    }
}
