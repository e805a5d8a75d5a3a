using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Training.Options;

/// <summary>Low-rank adapters, trained instead of the denoiser's weights (Hu et al., "LoRA", 2021).</summary>
public sealed record LoraOptions
{
    /// <summary>Rank of each adapter, at least 1.</summary>
    [Bounds(AtLeast = 1)]
    public int Rank { get; init; } = 16;

    /// <summary>Numerator of the adapters' scale alpha/rank, above 0. Default: the rank, a scale of 1.</summary>
    [Bounds(Above = 0)]
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

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.That(
            Targets.Count > 0 && Targets.All(static t => !string.IsNullOrWhiteSpace(t)),
            "lora.targets: give at least one target, and no empty ones"
        );
        check.That(Targets.Distinct(StringComparer.Ordinal).Count() == Targets.Count, nameof(Targets), "contains a target twice");
        var wide = Targets.FirstOrDefault(static t => t is AdapterOptions.All or AdapterOptions.AllLinear);
        check.That(wide is not AdapterOptions.All || Targets.Count == 1, "lora.targets: other targets have no effect beside all");
        check.That(
            wide is not AdapterOptions.AllLinear || !Targets.Contains(AdapterOptions.Attention, StringComparer.Ordinal),
            "lora.targets: attention has no effect beside all-linear"
        );
    }
}
