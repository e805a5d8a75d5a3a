using Retouch.Torch.Nn;

namespace Retouch.Training.Options;

/// <summary>Low-rank adapters, trained instead of the denoiser's weights (Hu et al., "LoRA", 2021).</summary>
public sealed record LoraOptions
{
    /// <summary>Rank of each adapter, at least 1.</summary>
    public int Rank { get; init; } = 16;

    /// <summary>Numerator of the adapters' scale alpha/rank, above 0. Default: the rank, a scale of 1.</summary>
    public double? Alpha { get; init; }

    /// <summary>Layers with adapters: attention, all-linear, all, or suffixes of module paths such as ff.net.2.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [AdapterOptions.Attention];

    /// <summary>Initialisation of the first factor: kaiming-uniform or gaussian. The second factor is zero.</summary>
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
        require(Rank >= 1, $"lora.rank is {Rank}; it must be at least 1");
        require(Alpha is null or (> 0 and < double.PositiveInfinity), $"lora.alpha is {Alpha}; it must be above 0");
        require(
            Targets.Count > 0 && Targets.All(static t => !string.IsNullOrWhiteSpace(t)),
            "lora.targets: give at least one target, and no empty ones"
        );
        require(Targets.Distinct(StringComparer.Ordinal).Count() == Targets.Count, "lora.targets contains a target twice");
        var wide = Targets.FirstOrDefault(static t => t is AdapterOptions.All or AdapterOptions.AllLinear);
        require(wide is not AdapterOptions.All || Targets.Count == 1, "lora.targets: other targets have no effect beside all");
        require(
            wide is not AdapterOptions.AllLinear || !Targets.Contains(AdapterOptions.Attention, StringComparer.Ordinal),
            "lora.targets: attention has no effect beside all-linear"
        );
    }
}
